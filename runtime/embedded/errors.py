"""What can go wrong with an embedded server. The text is one sentence for the person who started it."""

from runtime.errors import StartFailed


class ServerFailed(StartFailed):
    """The server ended, or was not ready by the deadline; the text has its own last words."""


class BinaryMissing(StartFailed):
    """No usable server program was found."""


class PortTaken(StartFailed):
    """Another program listens on the port."""


class DataOfAnotherVersion(StartFailed):
    """The data folder was written by another major version of the server."""


class DataInUse(StartFailed):
    """Another living process has a server running on the data folder."""


class DiskFull(StartFailed):
    """The disk has no room for the server's data."""


class CannotRunAsRoot(StartFailed):
    """We are root, Postgres refuses root, and no other uid can be taken."""
