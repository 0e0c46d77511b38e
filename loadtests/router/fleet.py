"""10,000 tenants over four cells, each with a rate; and 200 more whose cell sends events."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from directory.values import CellEntry, Rate, Snapshot, TenantEntry
from loadtests.router.scenarios import Scenario

TENANTS, CELLS, STREAMS = 10_000, 4, 200
GENEROUS = Rate(per_second=1_000_000.0, burst=1_000_000)
"""Never reached, but counted at every request."""
_SECRET = "k" * 43


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that answers at 127.0.0.1:`port`."""

    cell_id: str
    port: int

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Fleet:
    """The cells for requests, and the one for streams."""

    cells: tuple[Cell, ...]
    events: Cell

    @property
    def all_cells(self) -> tuple[Cell, ...]:
        return (*self.cells, self.events)

    def places(self) -> Iterator[tuple[str, Cell]]:
        """Every tenant with its cell."""
        for number in range(TENANTS):
            yield tenant(number), self.cells[number % len(self.cells)]
        for number in range(STREAMS):
            yield stream_tenant(number), self.events

    def snapshot(self) -> Snapshot:
        """The same for the directory."""
        return Snapshot(
            identity="bench-router",
            seq=1,
            cells={cell.cell_id: CellEntry(cell.cell_id, "open", cell.origin) for cell in self.all_cells},
            tenants={
                name: TenantEntry(name, cell.cell_id, number, GENEROUS)
                for number, (name, cell) in enumerate(self.places(), 1)
            },
        )


def tenant(number: int) -> str:
    """The name of tenant `number`."""
    return f"tenant-{number:05d}"


def stream_tenant(number: int) -> str:
    """The name of a tenant that listens to events."""
    return f"stream-{number:03d}"


def request(name: str, method: str, path: str, body: bytes = b"") -> bytes:
    """One request as bytes; every proxy gets the same ones."""
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: api.localhost",
        f"X-Tenant: {name}",
        f"Authorization: Bearer ck_{name}_{_SECRET}",
        "Accept: application/json",
        "User-Agent: bench-router",
    ]
    if method == "POST":
        head += ["Content-Type: application/octet-stream", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


def write_requests(scenario: Scenario, path: Path) -> None:
    """The scenario's requests for the clients: for each tenant a line with the length, then the bytes."""
    body = b"b" * scenario.sent_bytes
    with path.open("wb") as file:
        for number in range(min(scenario.tenants, TENANTS)):
            ready = request(tenant(number), scenario.method, scenario.path, body)
            file.write(b"%d\n%b" % (len(ready), ready))


def read_requests(path: Path) -> list[bytes]:
    """The reverse of `write_requests`."""
    ready = []
    with path.open("rb") as file:
        while line := file.readline():
            ready.append(file.read(int(line)))
    return ready


def small_answer(cell: Cell) -> bytes:
    """What a cell answers to the small GET: it names itself, so that a wrong route is seen."""
    return json.dumps({"cell": cell.cell_id, "accounts": [], "next": None}).encode()
