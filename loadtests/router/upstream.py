"""The cells behind every proxy: one nginx with a port a cell, and one small program that sends events."""

import contextlib
import getpass
import sys
from collections.abc import Iterator
from pathlib import Path

from loadtests.router import template
from loadtests.router.fleet import CELLS, Cell, Fleet, small_answer
from loadtests.router.pinned import CLIENT_CORE, Pinned, program
from loadtests.router.scenarios import KILOBYTE, MEGABYTE
from runtime.embedded.ports import free_port

EVENT_EVERY_MS = 20


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Fleet]:
    """All cells, until the end of the block."""
    cells = tuple(Cell(f"cell-{number}", free_port()) for number in range(CELLS))
    fleet = Fleet(cells, Cell("cell-events", free_port()))
    with contextlib.ExitStack() as stack:
        nginx = (program("nginx"), "-p", folder, "-e", "stderr", "-c", _configuration(cells, folder))
        stack.callback(Pinned("cells", nginx, CLIENT_CORE, folder).stop)
        events = (sys.executable, "-m", "loadtests.router.event_cell", str(fleet.events.port), str(EVENT_EVERY_MS))
        stack.callback(Pinned("event-cell", events, CLIENT_CORE, folder).stop)
        yield fleet


def _configuration(cells: tuple[Cell, ...], folder: Path) -> Path:
    files = folder / "files"
    files.mkdir(parents=True)
    (files / "1k").write_bytes(b"k" * KILOBYTE)
    (files / "1m").write_bytes(b"m" * MEGABYTE)
    servers = [
        template.written(
            "nginx_cell.conf",
            folder / f"{cell.cell_id}.conf",
            port=cell.port,
            folder=folder,
            small=small_answer(cell).decode(),
        )
        for cell in cells
    ]
    return template.written(
        "nginx_cells.conf",
        folder / "nginx.conf",
        user=getpass.getuser(),
        folder=folder,
        servers="\n".join(f"  include {path};" for path in servers),
    )
