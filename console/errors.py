"""What can go wrong for the person at the keyboard: one sentence, and an exit code with a meaning."""

EXIT_OK = 0
EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_NOT_RUNNING = 3
EXIT_NOT_FOUND = 4
EXIT_LATER = 5

EXIT_CODES = (
    "Exit codes: 0 done; 1 refused, or a check failed; 2 wrong usage; 3 the platform does not run or cannot be "
    "reached; 4 no such tenant, cell, move, key, orchestration or job; 5 not now, the same command may succeed "
    "later."
)


class ConsoleError(Exception):
    """The text is the sentence."""

    exit_code = EXIT_REFUSED


class Refused(ConsoleError):
    """The platform says no, and will again."""


class Usage(ConsoleError):
    """The command was not given what it needs."""

    exit_code = EXIT_USAGE


class NotRunning(ConsoleError):
    """Nobody answers."""

    exit_code = EXIT_NOT_RUNNING


class NotFound(ConsoleError):
    """There is no such thing."""

    exit_code = EXIT_NOT_FOUND


class Later(ConsoleError):
    """Not now."""

    exit_code = EXIT_LATER
