"""When two requests with one Idempotency-Key are the same request. Pure."""

import hashlib
import json
from collections.abc import Mapping

from pydantic import BaseModel


def digest(path: Mapping[str, str], body: BaseModel | None, if_match: str | None) -> bytes:
    """SHA-256 over what the request asks for: spaces and the order of fields in its JSON do not matter."""
    asked = None if body is None else body.model_dump(mode="json", exclude_unset=True)
    canonical = json.dumps([sorted(path.items()), asked, if_match], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()
