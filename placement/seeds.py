"""Seeds from which a cell derives API keys: a retry derives the same one, so that no secret is stored anywhere."""

import hashlib
import hmac
import secrets

from runtime.settings import SecretStr


class Seeds:
    """Derives seeds from the control key. Without the client's Idempotency-Key a seed is random."""

    def __init__(self, control_key: SecretStr) -> None:
        self._control_key = control_key.get_secret_value().encode()

    def first_key(self, tenant_id: str, idempotency_key: str | None) -> str:
        """For the key that a tenant is created with."""
        return self._derive("first-key", tenant_id, idempotency_key)

    def further_key(self, tenant_id: str, idempotency_key: str | None) -> str:
        """For a key that is made later."""
        return self._derive("key", tenant_id, idempotency_key)

    def _derive(self, purpose: str, tenant_id: str, idempotency_key: str | None) -> str:
        # Random seeds have a purpose of their own: no client can ask for the one that another was given.
        asked = f"{purpose}|{tenant_id}|{idempotency_key}"
        told = asked if idempotency_key else f"random-{purpose}|{tenant_id}|{secrets.token_hex(32)}"
        return hmac.new(self._control_key, told.encode(), hashlib.sha256).hexdigest()
