"""Why an adoption does not go on; each a sentence for the person who asked, with an exit code of the console's."""


class AdoptingError(Exception):
    """The tree's root."""

    exit_code = 1


class Refused(AdoptingError):
    """It would do harm, or needs something mended first."""


class Usage(AdoptingError):
    """What was asked for does not fit the database."""

    exit_code = 2


class Unreachable(AdoptingError):
    """The database does not answer."""

    exit_code = 3


class Later(AdoptingError):
    """Somebody was in the way; the same again may succeed."""

    exit_code = 5
