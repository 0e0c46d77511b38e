"""Names of tenants and cells: lower-case RFC 1123 labels, so that they fit into host names and keys."""

import re

from directory.errors import BadName

NAME = r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])$"
"""2 to 40 characters. No underscore: it separates the parts of an API key."""
_NAME = re.compile(NAME.removesuffix("$") + r"\Z")


def is_name(text: str) -> bool:
    """Whether a tenant or cell may be called so."""
    return _NAME.match(text) is not None


def check_name(what: str, text: str) -> str:
    """The name itself; BadName when it cannot be one."""
    if not is_name(text):
        raise BadName(f"{what} names have 2 to 40 lower-case letters, digits and inner dashes")
    return text
