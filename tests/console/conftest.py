"""The command line against a placement in this process."""

import asyncio
import contextlib
import io
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from console.app import run
from tests.placement.conftest import TOKEN, Client
from tests.placement.conftest import cell as cell
from tests.placement.conftest import control_database as control_database
from tests.placement.conftest import placement as placement
from tests.placement.conftest import reused_database as reused_database
from tests.placement.conftest import start_cell as start_cell
from tests.placement.conftest import start_placement as start_placement


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output of a command with --json."""
        return json.loads(self.out)


Cellway = Callable[..., Awaitable[Ran]]


@pytest.fixture(autouse=True, scope="session")
def quiet_logs() -> Iterator[None]:
    """Placement runs in this process: its log must not come between the lines of a command."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.configure(**before)


@pytest.fixture
def cellway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cellway:
    """Runs one command in an empty folder, without a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("CELLWAY_PLACEMENT_URL", "CELLWAY_OPERATOR_TOKEN", "CELLWAY_ROOT"):
        monkeypatch.delenv(name, raising=False)

    def ran(arguments: tuple[str, ...]) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(list(arguments))
        assert "Traceback" not in err.getvalue()
        return Ran(code, out.getvalue(), err.getvalue())

    async def cellway(*arguments: str) -> Ran:
        return await asyncio.to_thread(ran, arguments)

    monkeypatch.setattr("sys.stdin", io.StringIO())
    return cellway


@pytest.fixture
def operator(cellway: Cellway, placement: Client, monkeypatch: pytest.MonkeyPatch) -> Cellway:
    """The same, told where placement is."""
    monkeypatch.setenv("CELLWAY_PLACEMENT_URL", placement.url)
    monkeypatch.setenv("CELLWAY_OPERATOR_TOKEN", TOKEN)
    return cellway
