"""Who is an operator, and in which role: whoever sends one of the operator tokens."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from aiohttp import web

from placement.rules.roles import Operator, Role, allows, grants
from runtime.api.problem import ApiError
from runtime.settings import SecretStr

OPERATOR = web.RequestKey("operator", Operator)
"""Who makes the request; set before anything of it is read."""


class Access:
    """Knows the operator tokens by their digests, of one length, under a key of this process."""

    def __init__(self, tokens: Sequence[SecretStr]) -> None:
        self._key = secrets.token_bytes(32)
        found = grants([token.get_secret_value() for token in tokens])
        self._known = tuple((self._digest(grant.token.encode()), grant.operator) for grant in found)

    def __repr__(self) -> str:
        return f"<Access {len(self._known)} operator tokens>"

    def operator(self, request: web.Request) -> Operator:
        """Who asks. ApiError 401 unless the request carries an operator token (RFC 6750)."""
        headers = request.headers.getall("Authorization", [])
        scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
        given = self._digest(token.strip().encode(errors="surrogateescape"))
        # All tokens are compared, each in constant time: how long it takes tells nothing about any of them.
        found = [operator for digest, operator in self._known if hmac.compare_digest(given, digest)]
        if scheme.lower() != "bearer" or not found:
            message = "send an operator token as `Authorization: Bearer op_…`"
            raise ApiError("UNAUTHENTICATED", message, field="Authorization")
        return found[0]

    def _digest(self, token: bytes) -> bytes:
        return hmac.digest(self._key, token, hashlib.sha256)


def require(operator: Operator, role: Role) -> None:
    """ApiError 403 when that takes a role which the operator does not have."""
    if not allows(operator.role, role):
        message = f"this needs the role {role}: {operator.name} is {operator.role}"
        raise ApiError("PERMISSION_DENIED", message, metadata={"needs": role, "role": operator.role})
