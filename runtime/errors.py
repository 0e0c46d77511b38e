"""What can go wrong while a process starts, each a sentence for the person who started it."""


class RuntimeFault(Exception):
    """A fault of the process itself; its text says what happened, where, and what to do."""


class SettingsError(RuntimeFault):
    """The environment holds a setting that is missing, malformed or unknown."""


class StartFailed(RuntimeFault):
    """A part did not start by its deadline, or said why it cannot."""


class SchemaError(RuntimeFault):
    """The database's schema and this version of the program do not fit together."""
