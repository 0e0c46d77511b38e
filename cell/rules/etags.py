"""Versions as ETags, and what If-Match asks for (RFC 9110, 8.8.3 and 13.1.1). Pure."""

import re
from collections.abc import Sequence

from runtime.api.problem import ApiError

_STRONG = re.compile(r'"([0-9]{1,18})"')


def etag(version: int) -> str:
    """A strong ETag."""
    return f'"{version}"'


def expected_version(values: Sequence[str]) -> int | None:
    """The version that If-Match asks for; None when any will do. ApiError 400 when it is no ETag of ours."""
    if not values or list(values) == ["*"]:
        return None
    match = _STRONG.fullmatch(values[0])
    if len(values) > 1 or match is None:
        raise ApiError("INVALID_ARGUMENT", 'If-Match takes one ETag such as "3", or *', field="If-Match")
    return int(match[1])


def check_version(expected: int | None, current: int) -> None:
    """ApiError 412 when the resource has changed since."""
    if expected is not None and expected != current:
        message = f"the resource has changed: its ETag is now {etag(current)}; read it again and decide anew"
        raise ApiError(
            "FAILED_PRECONDITION", message, status=412, field="If-Match", metadata={"etag": etag(current)}
        )
