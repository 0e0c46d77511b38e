"""The commands that make HAProxy hold what it should. Pure: text in, text out.

HAProxy 2.6 looks through a whole map to change one entry: 25 ms of one thread, measured, in a map of a million.
So a change goes into a small map (`recent`), which is asked before the large one (`base`) and may say that a
tenant is gone. When it has grown, `base` is filled anew beside the old one and put in its place at once, and
`recent` keeps only what came meanwhile. A request sees the old or the new home of a tenant, never none.
"""

from collections.abc import Iterable, Iterator, Sequence

from router.export.plan import BACKEND, Server
from router.export.runtime_socket import LONGEST_COMMAND_BYTES
from router.settings import RouterSettings


def filled(map_path: object, entries: Iterable[tuple[str, str]], version: int | None = None) -> Iterator[str]:
    """Commands that add entries which are not there, many at once; `version` is one that was prepared."""
    head = f"add map {map_path} <<" if version is None else f"add map @{version} {map_path} <<"
    lines, size = [head], 0
    for key, value in entries:
        line = f"{key} {value}"
        if size + len(line) > LONGEST_COMMAND_BYTES:
            yield "\n".join([*lines, ""])
            lines, size = [head], 0
        lines.append(line)
        size += len(line) + 1
    if len(lines) > 1:
        yield "\n".join([*lines, ""])


def changed(map_path: object, entries: Iterable[tuple[str, str]]) -> list[str]:
    """Commands that change entries which are there."""
    return [f"set map {map_path} {key} {value}" for key, value in entries]


def added(server: Server, settings: RouterSettings) -> list[str]:
    """Commands that add a cell's server."""
    name = f"{BACKEND}/{server.name}"
    return [f"add server {name} {server.words(settings)}", f"enable server {name}"]


def removed(name: str) -> list[str]:
    """Commands that remove a server; the last one fails while requests or idle connections are left on it."""
    return [f"set server {BACKEND}/{name} state maint", f"del server {BACKEND}/{name}"]


def entries(answer: str) -> Iterator[tuple[str, str]]:
    """What `show map` answered: an address in memory, a key, a value."""
    for line in answer.split("\n"):
        _, _, entry = line.partition(" ")
        key, space, value = entry.partition(" ")
        if space:
            yield key, value


def servers(answer: str) -> list[str]:
    """The names of a backend's servers in what `show servers state` answered, without our own."""
    rows = [line.split() for line in answer.split("\n") if line and not line.startswith("#")]
    return [row[3] for row in rows if len(row) > 3 and not row[3].startswith("_")]


def version(answer: str) -> int | None:
    """The number in what `prepare map` answered."""
    number = answer.rpartition(":")[2].strip()
    return int(number) if number.isdecimal() else None


def failures(commands: Sequence[str], answers: Sequence[str], allowed: Iterable[str] = ()) -> list[str]:
    """What was refused; to add or change something, HAProxy answers nothing when it is done."""
    fine = ("", *allowed)
    return [
        f"{command.splitlines()[0]}: {said}"
        for command, said in zip(commands, answers, strict=True)
        if said not in fine
    ]
