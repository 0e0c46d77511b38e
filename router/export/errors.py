"""What can go wrong with an export."""

from router.errors import RouterError
from runtime.errors import RuntimeFault


class ExportFailed(RuntimeFault):
    """Nothing, or not everything, was written; the text says why and what to do."""


class SocketAway(RouterError):
    """HAProxy's runtime socket cannot be spoken to now."""


class NotTold(RouterError):
    """HAProxy refused a command: it does not hold what we thought, so look again."""
