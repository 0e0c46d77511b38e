"""Names and texts inside SQL. Values never come this way: they are bound, or read by `current_setting`."""

from collections.abc import Iterable


def quoted(name: str) -> str:
    """A name of the catalog as an identifier."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def listed(names: Iterable[str], prefix: str = "") -> str:
    """Identifiers with commas between them."""
    return ", ".join(prefix + quoted(name) for name in names)


def text_of(name: str) -> str:
    """A name of the catalog as a text constant (standard_conforming_strings is on)."""
    doubled = name.replace("'", "''")
    return f"'{doubled}'"
