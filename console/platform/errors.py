"""What can go wrong with a platform. The text is one sentence for the person at the keyboard."""

from runtime.errors import StartFailed


class AlreadyRunning(StartFailed):
    """Another process runs a platform in this folder."""


class FolderOfAnotherVersion(StartFailed):
    """The folder was written in a format that this version does not read."""


class FolderUnusable(StartFailed):
    """The folder cannot be written, or what is remembered in it cannot be read."""


class FewerCellsThanThere(StartFailed):
    """Fewer cells were asked for than the folder has; cells hold tenants and are not dropped in passing."""


class PartFailed(StartFailed):
    """A part ended before it was ready, or was not ready in time."""


class RegistrationFailed(StartFailed):
    """Placement did not take a cell."""
