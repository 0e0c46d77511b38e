"""Each cell's own control token, derived from the fleet's one control key: a leaked token opens one cell."""

import hashlib
import hmac


def control_token(control_key: str, cell_id: str) -> str:
    """HMAC-SHA256 (RFC 2104) of the cell's name, as hex."""
    return hmac.new(control_key.encode(), f"cell:{cell_id}".encode(), hashlib.sha256).hexdigest()
