"""API keys: `ck_<tenant>_<43 characters>`, derived and never stored. Pure.

A key's secret is HMAC-SHA256 (RFC 2104) over tenant and key id, under the fleet's pepper, so that a retried
creation can answer with the same secret although nothing secret lies in any database. What is stored is another
HMAC over the secret: who reads the table cannot make a key, nor test guesses without the pepper.
"""

import base64
import hashlib
import hmac
import re

_KEY = re.compile(r"ck_(?P<tenant>[a-z0-9][a-z0-9-]{0,38}[a-z0-9])_(?P<secret>[A-Za-z0-9_-]{43})")


def key_id_of(pepper: bytes, tenant_id: str, seed: str) -> str:
    """The identifier of the key that `seed` asks for: the same seed, the same key."""
    return "k" + _mac(pepper, "key-id", tenant_id, seed).hex()[:24]


def api_key_of(pepper: bytes, tenant_id: str, key_id: str) -> str:
    """The whole API key, to be shown once."""
    secret = base64.urlsafe_b64encode(_mac(pepper, "key-secret", tenant_id, key_id)).rstrip(b"=").decode()
    return f"ck_{tenant_id}_{secret}"


def hash_of(pepper: bytes, api_key: str) -> bytes:
    """What is stored of an API key."""
    return _mac(pepper, "key-hash", api_key)


def encryption_key_of(pepper: bytes, tenant_id: str, resource_id: str) -> bytes:
    """The 32 bytes of an encryption key that was given to a tenant. Only `resource_id` is stored anywhere."""
    return _mac(pepper, "encryption-key", tenant_id, resource_id)


def presented(authorization: str | None, tenant_id: str) -> str | None:
    """The API key of a header `Authorization: Bearer …` (RFC 6750), None when it cannot be one of this tenant."""
    scheme, _, credential = (authorization or "").partition(" ")
    match = _KEY.fullmatch(credential.strip(" "))
    if scheme.lower() != "bearer" or match is None or match["tenant"] != tenant_id:
        return None
    return match[0]


def _mac(pepper: bytes, *parts: str) -> bytes:
    # Lengths separate the parts unambiguously.
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.new(pepper, message, hashlib.sha256).digest()
