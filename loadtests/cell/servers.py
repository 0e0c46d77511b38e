"""The two servers, each alone on the core of those that are measured."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from loadtests.cell.stage import Stage
from loadtests.router.errors import CannotMeasure
from loadtests.router.pinned import PROXY_CORE, Pinned
from runtime.embedded.ports import free_port

OURS, THEIRS = "cellway", "fastapi"
POOL_SIZE = 16
VERSIONS = (
    "from importlib.metadata import version; import json, sys; print(json.dumps(list(map(version, sys.argv[1:]))))"
)


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs. `admin_port` is the cell's alone."""

    name: str
    port: int
    process: Pinned
    version: str
    admin_port: int = 0


def cellway(stage: Stage, folder: Path, _peers: Path) -> Server:
    """The cell's own program, as it is in production but for its servers."""
    port, admin_port = free_port(), free_port()
    told = {
        "CELL_ID": "cell-1",
        "PORT": str(port),
        "ADMIN_PORT": str(admin_port),
        "APP_DSN": stage.dsn("cell_app"),
        "CONTROL_DSN": stage.dsn("cell_control"),
        "RELAY_DSN": stage.dsn("cell_relay"),
        "OWNER_DSN": stage.dsn("cell_owner"),
        "REDIS_URL": stage.redis.url,
        "CONTROL_TOKEN": stage.secret,
        "KEY_PEPPER": stage.secret,
        "PAGE_KEY": stage.secret,
        "POOL_SIZE": str(POOL_SIZE),
        "LOG_FORMAT": "json",
    }
    environment = {f"CELLWAY_CELL_{name}": value for name, value in told.items()}
    process = Pinned(OURS, (sys.executable, "-m", "loadtests.cell.ours"), PROXY_CORE, folder, environment)
    said = f"Python {sys.version.split()[0]}, aiohttp {version('aiohttp')}, asyncpg {version('asyncpg')}"
    return Server(OURS, port, process, said, admin_port)


def fastapi(stage: Stage, folder: Path, peers: Path) -> Server:
    """See `peer`."""
    port, python = free_port(), peers / "bin" / "python"
    environment = {
        "PEER_DSN": stage.dsn("cell_app").replace("postgresql://", "postgresql+asyncpg://"),
        "PEER_PEPPER": stage.secret,
        "PEER_POOL_SIZE": str(POOL_SIZE),
    }
    options = (
        "--workers",
        "1",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--log-level",
        "warning",
        "--no-access-log",
    )
    command = (python, "-m", "uvicorn", "loadtests.cell.peer:app", "--port", str(port), *options)
    process = Pinned(THEIRS, command, PROXY_CORE, folder, environment)
    names = ("fastapi", "uvicorn", "sqlalchemy", "asyncpg")
    return Server(THEIRS, port, process, ", ".join(versions_of(peers, names)))


def versions_of(peers: Path, names: tuple[str, ...]) -> list[str]:
    """`name version` of packages in the peers' environment. CannotMeasure when it is not there."""
    python = peers / "bin" / "python"
    try:
        told = subprocess.run((python, "-c", VERSIONS, *names), capture_output=True, text=True, check=True)  # noqa: S603 ours
    except (OSError, subprocess.CalledProcessError):
        raise CannotMeasure(f"the peers are not installed in {peers}: run this by its make target") from None
    return [f"{name} {number}" for name, number in zip(names, json.loads(told.stdout), strict=True)]


SERVERS: Mapping[str, Callable[[Stage, Path, Path], Server]] = {OURS: cellway, THEIRS: fastapi}
