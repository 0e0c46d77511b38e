"""A whole platform: real servers, stand-ins for our programs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from console.platform.errors import AlreadyRunning, FewerCellsThanThere
from console.platform.platform import Platform
from console.platform.states import State
from runtime.embedded.errors import PortTaken
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from runtime.settings import SecretStr
from tests.console.platform.stage import SETTINGS, ask, stand_ins
from tests.runtime.embedded.processes import ended

KINDS = ("control postgres", "directory redis", "placement", "router", "mover")
CELL_KINDS = ("cell-1 postgres", "cell-1 redis", "cell-1 api", "cell-1 worker")
PARTS = len(KINDS) + len(CELL_KINDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where everything is; the stand-ins hear of it through the environment."""
    made = tmp_path_factory.mktemp("platform")
    os.environ["STAND_IN_FOLDER"] = str(made)
    yield made
    del os.environ["STAND_IN_FOLDER"]


def platform_in(folder: Path, cells: int | None = None) -> Platform:
    return Platform(folder / ".cellway", cells, SETTINGS, commands=stand_ins())


@pytest.fixture(scope="module")
async def platform(folder: Path) -> AsyncIterator[Platform]:
    async with platform_in(folder, 1) as running:
        yield running


def told(folder: Path) -> Any:
    return json.loads((folder / "cells.json").read_text())


async def test_every_part_is_ready_and_every_cell_is_known_to_placement(folder: Path, platform: Platform) -> None:
    """`start` returns when somebody could use it."""
    assert {status.name for status in platform.parts} == {*KINDS, *CELL_KINDS}
    assert {status.state for status in platform.parts} == {State.READY}
    assert told(folder)["cell-1"]["address"] == platform.url("cell-1 api")
    assert told(folder)["cell-1"]["control_address"] == platform.url("cell-1 api admin")
    assert await ask(platform.url("cell-1 api")) == {"kind": "cell", "cell": "cell-1"}
    assert platform.tenants() == {"cell-1": 1}


@pytest.mark.parametrize("name", [*KINDS, *CELL_KINDS])
async def test_a_part_that_is_killed_comes_back_and_its_neighbours_stay(platform: Platform, name: str) -> None:
    """`kill -9` of each kind of part."""
    before = {status.name: status.pid for status in platform.parts}
    pid = before[name]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    back = await platform.returned(name, pid)
    assert back.restarts >= 1
    after = {status.name: status.pid for status in platform.parts}
    assert {other for other in after if after[other] != before[other]} == {name}


async def test_no_secret_is_where_others_can_read_it(platform: Platform) -> None:
    """Neither in platform.json, nor on a command line, nor in a log."""
    secrets = set(platform.layout.secrets().values.values())
    public = [platform.layout.root / "platform.json", *platform.layout.logs.iterdir()]
    public += [Path(f"/proc/{status.pid}/cmdline") for status in platform.parts]
    for path in public:
        text = path.read_text(errors="replace")
        assert not [secret for secret in secrets if secret in text], path


async def test_a_second_platform_in_the_folder_is_refused(folder: Path, platform: Platform) -> None:
    """And the first is not disturbed."""
    with pytest.raises(AlreadyRunning):
        await platform_in(folder).start()
    assert {status.state for status in platform.parts} == {State.READY}


async def test_a_taken_public_port_is_one_sentence(folder: Path, platform: Platform, tmp_path: Path) -> None:
    """It names the setting; nothing was started."""
    settings = SETTINGS.model_copy(update={"router_port": platform.ports["router"]})
    second = Platform(tmp_path / "other", 1, settings, commands=stand_ins())
    with pytest.raises(PortTaken, match=rf"Port {platform.ports['router']} .* set CELLWAY_UP_ROUTER_PORT"):
        await second.start()
    assert second.parts == []


async def test_data_ports_and_secrets_survive_a_restart_and_cells_can_be_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed is there; the old cell keeps its address, the new one is registered."""
    monkeypatch.setenv("STAND_IN_FOLDER", str(tmp_path))
    async with platform_in(tmp_path, 1) as first:
        secrets = first.layout.secrets().values
        password, port = secrets["cell-1 cell_owner"], first.ports["cell-1 postgres"]
        dsn = f"postgresql://cell_owner:{password}@127.0.0.1:{port}/cell"
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        await connection.close()
    async with platform_in(tmp_path, 2) as second:
        assert {name: second.ports[name] for name in first.ports} == first.ports
        assert second.operator_token == first.operator_token
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT number FROM kept") == 7
        await connection.close()
        assert second.cells == ("cell-1", "cell-2")
        assert {name: cell["told"] for name, cell in told(tmp_path).items()} == {"cell-1": 2, "cell-2": 1}
    with pytest.raises(FewerCellsThanThere, match="has 2 cells, and 1 were asked for"):
        await platform_in(tmp_path, 1).start()


def environment_of(pid: int | None) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(line.split("=", 1) for line in lines if "=" in line)


async def test_servers_of_ones_own_are_used_instead_of_embedded_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory's roles and database are created there; only the cells have embedded servers."""
    monkeypatch.setenv("STAND_IN_FOLDER", str(tmp_path))
    with (
        PostgresServer(tmp_path / "own", "secret") as postgres,
        RedisServer(tmp_path / "redis", "secret") as redis,
    ):
        admin, url = SecretStr(f"{postgres.admin_dsn}?sslmode=disable"), SecretStr(redis.url)
        settings = SETTINGS.model_copy(
            update={"control_postgres": admin, "directory_redis": url, "consul": "http://c"}
        )
        async with Platform(tmp_path / ".cellway", 1, settings, commands=stand_ins()) as running:
            assert {status.name for status in running.parts} == {"placement", "router", "mover", *CELL_KINDS}
            told = environment_of(running.part("placement").pid)
            mover = environment_of(running.part("mover").pid)
    assert mover["CELLWAY_MIGRATION_DIRECTORY_REDIS_URL"] == redis.url
    assert mover["CELLWAY_MIGRATION_CONSUL_URL"] == "http://c"
    assert told["CELLWAY_PLACEMENT_DIRECTORY_REDIS_URL"] == redis.url
    assert told["CELLWAY_PLACEMENT_CONSUL_URL"] == "http://c"
    assert told["CELLWAY_PLACEMENT_DIRECTORY_DSN"].startswith("postgresql://directory_writer:")
    assert told["CELLWAY_PLACEMENT_DIRECTORY_DSN"].endswith(
        f"@127.0.0.1:{postgres.port}/directory?sslmode=disable"
    )
    with PostgresServer(tmp_path / "own", "secret", port=postgres.port):
        connection = await asyncpg.connect(told["CELLWAY_PLACEMENT_DIRECTORY_OWNER_DSN"])
        assert await connection.fetchval("SELECT current_user") == "directory_owner"
        await connection.close()


UP = """
import asyncio, sys
from contextlib import contextmanager
from pathlib import Path
from console.platform.up import up
from tests.console.platform.stage import SETTINGS, stand_ins
sys.exit(asyncio.run(up(Path(sys.argv[1]), 1, SETTINGS, commands=stand_ins())))
"""


@contextmanager
def up_in(folder: Path) -> "Iterator[subprocess.Popen[str]]":
    """Whatever the test makes of it, it ends with the block, and its parts with it."""
    with subprocess.Popen(
        [sys.executable, "-u", "-c", UP, str(folder / ".cellway")],
        env=os.environ | {"STAND_IN_FOLDER": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_until(process: "subprocess.Popen[str]", words: str) -> list[str]:
    lines: list[str] = []
    assert process.stdout is not None
    while not lines or words not in lines[-1]:
        line = process.stdout.readline()
        assert line, (lines, process.stderr and process.stderr.read())
        lines.append(line)
    return lines


def pids(folder: Path) -> set[int]:
    records = [*(folder / ".cellway").rglob("*.process")]
    return {json.loads(record.read_text())["pid"] for record in records}


def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    """The exit code is 0, nothing runs, and every part was announced."""
    with up_in(tmp_path) as process:
        lines = lines_until(process, "Ctrl-C stops everything")
        running = pids(tmp_path)
        assert len(running) == PARTS
        process.send_signal(signal.SIGINT)
        output, complaints = process.communicate(timeout=60)
        assert (process.returncode, complaints) == (0, "")
    assert "Stopped. The data stays in" in output
    assert sum(" ready (pid " in line for line in lines) == PARTS
    assert all(ended(pid, seconds=0) for pid in running)


def test_when_the_supervisor_is_killed_nothing_outlives_it_and_it_can_start_again(tmp_path: Path) -> None:
    """`kill -9` of `cellway up` itself."""
    with up_in(tmp_path) as process:
        lines_until(process, "Ctrl-C stops everything")
        running = pids(tmp_path)
        process.kill()
        assert all(ended(pid) for pid in running)
    with up_in(tmp_path) as process:
        lines_until(process, "Ctrl-C stops everything")
        assert not pids(tmp_path) & running
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_part_that_refuses_to_start_is_one_sentence_and_an_exit_code(tmp_path: Path) -> None:
    """Not a traceback; what had started is stopped."""
    (tmp_path / "router.refuses").write_text("router: SNAPSHOT_PATH: cannot be written")
    with up_in(tmp_path) as process:
        _, complaints = process.communicate(timeout=60)
    assert process.returncode == 1
    assert complaints.startswith(
        "cellway: router ended with code 1: router: SNAPSHOT_PATH: cannot be written (log: "
    )
    assert complaints.count("\n") == 1
    assert pids(tmp_path) == set()
