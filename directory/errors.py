"""What the directory answers instead of a value. Each says whose fault it is by its kind."""


class DirectoryError(Exception):
    """The tree's root."""


class Refused(DirectoryError):
    """The caller's fault: the same call will be refused again."""


class NotFound(Refused):
    """No such tenant or cell."""


class AlreadyExists(Refused):
    """The name is taken, now or by a tenant that was deleted."""


class NotAllowed(Refused):
    """The state table has no such transition."""


class CellFull(Refused):
    """The cell takes no tenant: it is full, or not open."""


class Stale(Refused):
    """The caller acted on an epoch or revision that is no longer the latest."""


class BadName(Refused):
    """Not a name that a tenant or a cell can have."""


class BadAddress(Refused):
    """Not an address that may be registered or connected to."""


class Unavailable(DirectoryError):
    """Nobody's fault here: the store is away. Trying again later may help."""


class Gap(DirectoryError):
    """The changes asked for are no longer kept: read the snapshot."""


class BadSnapshot(DirectoryError):
    """The bytes are no snapshot: cut short, altered, or of another format."""
