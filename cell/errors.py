"""What can go wrong in a cell, each with its meaning. Foreign errors become these in `database`."""


class CellError(Exception):
    """The tree's root."""


class Unavailable(CellError):
    """Nobody's fault here: the database is away, too slow or too busy. Trying again later may help."""


class Overfull(CellError):
    """Too much waits already: come back when some of it is done."""


class NotHere(CellError):
    """The fence refuses this tenant at this epoch. `epoch` is the one that this cell knows, 0 for none."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"this tenant is not served here at that epoch; known: {epoch}")
        self.epoch = epoch


class Stale(CellError):
    """A decision arrived after a later one."""


class NotAllowed(CellError):
    """The state table has no such transition."""


class LeaseLost(CellError):
    """Somebody else runs this job now: nothing more may be written for it."""


class Unfit(CellError):
    """A job that no further attempt can help."""
