"""Which secrets a platform has, and what is in each file. Pure: chance comes from whoever calls.

Postgres and Redis are called by the names of their services (`cell-1-postgres`); an address is a secret as a
whole, because it holds a password.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import urlsplit

from directory.control.token import control_token

Bytes = Callable[[int], bytes]
"""So many bytes of chance."""
Known = Mapping[str, str]

CONTROL_ROLES = ("owner", "writer", "mover")
CELL_ROLES = ("owner", "app", "control", "relay", "mover")
CONSUL_TOKENS = ("management", "agent", "placement", "router", "mover", "watch")


@dataclass(frozen=True, slots=True)
class Secret:
    """A file. `make` says what is in it, when it is not there."""

    name: str
    make: Callable[[Bytes], str]


@dataclass(frozen=True, slots=True)
class Derived:
    """A file that follows from others, and is written anew when they change."""

    name: str
    make: Callable[[Known], str]


def of_the_fleet() -> Iterator[Secret | Derived]:
    """What is there once."""
    yield Secret("operator-token", lambda chance: f"op_{_word(chance)}")
    yield Derived("operator-tokens", _operators)
    for name in ("control-key", "key-pepper", "page-key"):
        yield Secret(name, _word)
    yield Secret("grafana-password", _word)

    yield Secret("control-postgres-password", _word)
    for role in CONTROL_ROLES:
        yield Secret(f"directory-{role}-dsn", _dsn(f"directory_{role}", "control-postgres", "directory"))

    for user in ("placement", "router"):
        yield Secret(f"{user}-redis-url", _url(user, "directory-redis"))
    yield _access_list("directory", {user: f"{user}-redis-url" for user in ("placement", "router")})

    for who in CONSUL_TOKENS:
        yield Secret(f"consul-{who}-token", _uuid)
    yield Secret("consul-gossip-key", lambda chance: base64.b64encode(chance(32)).decode())
    yield Derived("consul-server.json", _consul_server)


def of_a_cell(cell: str) -> Iterator[Secret | Derived]:
    """What each cell has of its own."""
    yield Secret(f"{cell}-postgres-password", _word)
    for role in CELL_ROLES:
        yield Secret(f"{cell}-{role}-dsn", _dsn(f"cell_{role}", f"{cell}-postgres", "cell"))
    yield Secret(f"{cell}-redis-url", _url("cell", f"{cell}-redis"))
    yield _access_list("cell", {"cell": f"{cell}-redis-url"}, f"{cell}-redis.acl")
    yield Secret(f"{cell}-consul-token", _uuid)
    yield Derived(f"{cell}-control-token", lambda known: control_token(known["control-key"], cell))


def everything(cells: Sequence[str]) -> list[Secret | Derived]:
    """In an order in which each follows from those before it."""
    return [*of_the_fleet(), *(each for cell in cells for each in of_a_cell(cell))]


def _word(chance: Bytes) -> str:
    return chance(32).hex()


def _uuid(chance: Bytes) -> str:
    text = chance(16).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _dsn(role: str, host: str, database: str) -> Callable[[Bytes], str]:
    return lambda chance: f"postgresql://{role}:{_word(chance)}@{host}:5432/{database}"


def _url(user: str, host: str) -> Callable[[Bytes], str]:
    return lambda chance: f"redis://{user}:{_word(chance)}@{host}:6379/0"


def _access_list(kind: str, users: Mapping[str, str], name: str = "") -> Derived:
    """A Redis is told digests, so that its file gives no password away."""

    def make(known: Known) -> str:
        text = files("console.stack").joinpath(f"{kind}.acl").read_text(encoding="utf-8")
        for user, source in users.items():
            password = urlsplit(known[source]).password or ""
            text = text.replace(f"{{{user}}}", hashlib.sha256(password.encode()).hexdigest())
        return text

    return Derived(name or f"{kind}-redis.acl", make)


def _operators(known: Known) -> str:
    """Placement's list: whoever is in it stays; the first is an admin."""
    first = f"admin:first:{known['operator-token']}"
    others = [entry for entry in known.get("operator-tokens", "").split(",") if entry]
    return ",".join([first, *(entry for entry in others if not entry.startswith("admin:first:"))])


def _consul_server(known: Known) -> str:
    tokens = {"master": known["consul-management-token"], "agent": known["consul-agent-token"]}
    return json.dumps({"encrypt": known["consul-gossip-key"], "acl": {"tokens": tokens}}, indent=2)
