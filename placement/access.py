"""Who is an operator: whoever sends one of the operator tokens."""

import hmac
from collections.abc import Sequence

from aiohttp import web

from runtime.api.problem import ApiError
from runtime.settings import SecretStr


class Access:
    """Knows the operator tokens."""

    def __init__(self, tokens: Sequence[SecretStr]) -> None:
        self._tokens = tuple(token.get_secret_value().encode() for token in tokens)

    def __repr__(self) -> str:
        return f"<Access {len(self._tokens)} operator tokens>"

    def require(self, request: web.Request) -> None:
        """ApiError 401 unless the request carries an operator token (RFC 6750)."""
        headers = request.headers.getall("Authorization", [])
        scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
        given = token.strip().encode(errors="surrogateescape")
        # All tokens are compared, each in constant time: how long it takes tells nothing about any of them.
        known = [hmac.compare_digest(given, token) for token in self._tokens]
        if scheme.lower() != "bearer" or not any(known):
            message = "send an operator token as `Authorization: Bearer op_…`"
            raise ApiError("UNAUTHENTICATED", message, field="Authorization")
