"""Page sizes, and page tokens that cannot be made up or carried elsewhere.

A token says after which row the next page begins. It is authenticated with a key (HMAC-SHA256) together with
what it was made for (tenant, list, filter, order), so a tampered one, or one used elsewhere, is refused.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence

from runtime.api.problem import ApiError

DEFAULT_SIZE = 20
LARGEST_SIZE = 100
_MAC_BYTES = 16

Value = str | int | bool


def page_size(asked: int) -> int:
    """0 asks for the default; more than the largest gives the largest (AIP-158)."""
    return min(asked, LARGEST_SIZE) if asked > 0 else DEFAULT_SIZE


class PageTokens:
    """Seals and opens tokens with one key, which all processes of a fleet share."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, made_for: Sequence[str], after: Sequence[Value]) -> str:
        """A token for the rows after `after`, good only for the list that `made_for` names."""
        payload = json.dumps(list(after), separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(made_for, payload) + payload).rstrip(b"=").decode()

    def open(self, made_for: Sequence[str], token: str) -> list[Value]:
        """The row to continue after; ApiError 400 for anything that `seal` did not make for this list."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _refused() from None
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(made_for, payload)):
            raise _refused()
        after: list[Value] = json.loads(payload)
        return after

    def _mac(self, made_for: Sequence[str], payload: bytes) -> bytes:
        # JSON separates the parts unambiguously: ["a","bc"] and ["ab","c"] differ.
        bound = json.dumps(list(made_for)).encode() + b"\n" + payload
        return hmac.new(self._key, bound, hashlib.sha256).digest()[:_MAC_BYTES]


def _refused() -> ApiError:
    message = "this page_token was not given out for this list with this filter and order: begin again without it"
    return ApiError("INVALID_ARGUMENT", message, field="page_token")
