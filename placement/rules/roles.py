"""Who may do what: roles, the tokens that carry them, and which role a call needs. Pure.

| role | may |
| --- | --- |
| viewer | look at everything, and change nothing |
| operator | run the fleet: what can be undone, or harms one tenant at most |
| admin | also what cannot be undone, and what opens a tenant's data or leads its requests elsewhere |

Each has what those before it have. An endpoint may say which role it needs; otherwise its method does.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

Role = Literal["viewer", "operator", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
LOOKING = ("GET", "HEAD", "OPTIONS")
ACTOR = r"^[a-z0-9][a-z0-9._-]{0,39}$"
OURSELVES = "placement"
"""The actor of what placement decides of its own accord: nobody else is called so."""
UNNAMED = "unnamed-"
SHORTEST_TOKEN = 16
_ACTOR = re.compile(ACTOR.removesuffix("$") + r"\Z")
_FORM = "role:name:op_…, such as viewer:ann:op_… (roles: viewer, operator, admin)"


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who calls."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Grant:
    """A token, and whose it is."""

    operator: Operator
    token: str = field(repr=False)


def needed(method: str, said: str = "") -> Role:
    """The role for an endpoint of that method, which says one or leaves it to the method. ValueError."""
    if not said:
        return "viewer" if method in LOOKING else "operator"
    for role in ROLES:
        if role == said:
            return role
    raise ValueError(f"{said!r} is no role: {', '.join(ROLES)}")


def allows(has: Role, needs: Role) -> bool:
    """Whether who has the one may do what needs the other."""
    return ROLES.index(has) >= ROLES.index(needs)


def grants(entries: Sequence[str]) -> Sequence[Grant]:
    """Each token once. ValueError names the entry by its place in the list, and never what it holds."""
    known: dict[str, Grant] = {}
    for number, entry in enumerate(entries, 1):
        grant = _grant(number, entry)
        same = known.setdefault(grant.token, grant)
        unnamed = grant.operator.name.startswith(UNNAMED) and same.operator.name.startswith(UNNAMED)
        if same.operator != grant.operator and not unnamed:
            raise ValueError(f"entry {number} has the token of another entry: each person has one of their own")
    return tuple(known.values())


def _grant(number: int, entry: str) -> Grant:
    """A token alone is of before there were roles: an admin's, so that nobody is locked out by an upgrade."""
    role, colon, rest = entry.partition(":")
    name, second, token = rest.partition(":")
    # What begins with a role, or ends with what is certainly a token, is meant to be of this form.
    if role not in ROLES and not (colon and second and token.startswith("op_")):
        return Grant(Operator(f"{UNNAMED}{number}", "admin"), _checked(number, entry))
    if role not in ROLES or not second or not token.startswith("op_"):
        raise ValueError(f"entry {number} is not of the form {_FORM}")
    if _ACTOR.match(name) is None or name == OURSELVES or name.startswith(UNNAMED):
        raise ValueError(
            f"entry {number}: a name has 1 to 40 lower-case letters, digits, dots, dashes and underscores, and is"
            f" neither {OURSELVES} nor {UNNAMED}…"
        )
    return Grant(Operator(name, needed("", role)), _checked(number, token))


def _checked(number: int, token: str) -> str:
    if len(token) < SHORTEST_TOKEN:
        raise ValueError(f"entry {number}: an operator token has at least {SHORTEST_TOKEN} characters")
    return token
