"""What the directory answers instead of a value. Each says whose fault it is by its kind."""


class DirectoryError(Exception):
    """The tree's root."""


class Refused(DirectoryError):
    """The caller's fault: the same call will be refused again."""


class NotFound(Refused):
    """No such tenant, cell or move."""


class AlreadyExists(Refused):
    """The name is taken, now or by a tenant that was deleted."""


class NotAllowed(Refused):
    """The state table has no such transition."""


class CellFull(Refused):
    """The cell takes no tenant: it is full, or not open, or there is none of that name."""


class Stale(Refused):
    """The caller acted on an epoch or revision that is no longer the latest."""


class NotLeader(Stale):
    """The decision was made in a term that is over: another leader has begun one since."""


class BadName(Refused):
    """Not a name that a tenant or a cell can have."""


class BadAddress(Refused):
    """Not an address that may be registered or connected to."""


class BadRate(Refused):
    """Not a limit that a tenant can be given."""


class BadReservation(Refused):
    """Not what can be reserved."""


class TooMany(Refused):
    """As many of these are kept as may be: some must go first."""


class BadCapacity(Refused):
    """Not what a cell can hold, or may; or not a name that something is dedicated to."""


class BadMove(Refused):
    """Not how a move can be carried out."""


class Unavailable(DirectoryError):
    """Nobody's fault here: what was asked is away, or could not do it just now. Trying again later may help."""


class Silent(Unavailable):
    """A cell gives no answer at all: for now no order, of whichever tenant, gets through to it."""


class NotTrusted(Silent):
    """What answers at a cell's address does not prove by its certificate that it is the cell: nothing was sent."""


class Unfinished(Unavailable):
    """A cell is at it and has more to do than it does in one call: told again, it goes on."""


class Gap(DirectoryError):
    """The changes asked for are no longer kept: read the snapshot."""


class BadSnapshot(DirectoryError):
    """The bytes are no snapshot: cut short, altered, or of another format."""
