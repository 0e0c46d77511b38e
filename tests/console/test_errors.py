"""When the platform is not there, people read one sentence with what to do."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from console.app import app
from console.errors import EXIT_CODES
from runtime.embedded.ports import free_port
from tests.console.conftest import Cellway
from tests.placement.conftest import Client

COMMANDS = [
    ("tenants", "list"),
    ("tenants", "create", "acme"),
    ("tenants", "show", "acme"),
    ("tenants", "delete", "acme", "--yes"),
    ("tenants", "onboard", "acme", "--email", "ann@acme.example"),
    ("tenants", "offboard", "acme"),
    ("cells", "list"),
    ("cells", "cordon", "cell-1"),
    ("keys", "list", "acme"),
    ("status",),
    ("doctor",),
    ("demo",),
]


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_platform_that_is_not_running_is_3(cellway: Cellway, command: tuple[str, ...]) -> None:
    """With the command that starts it."""
    ran = await cellway(*command)
    assert (ran.code, ran.out) == (3, "")
    assert "not running here: start it with `make up`" in ran.err
    assert ran.err.count("\n") == 1


async def test_a_folder_whose_platform_was_stopped_is_not_running(cellway: Cellway, tmp_path: Path) -> None:
    """What is remembered in the folder does not count as running, even when somebody else took the port."""
    root = tmp_path / "elsewhere"
    root.mkdir()
    port = free_port()
    remembered = {"format": 1, "ports": {"placement": port}, "urls": {"placement": f"http://127.0.0.1:{port}"}}
    (root / "platform.json").write_text(json.dumps(remembered))
    ran = await cellway("tenants", "list", "--root", str(root))
    assert (ran.code, "not running here" in ran.err) == (3, True)
    with (root / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = await cellway("tenants", "list", "--root", str(root))
        assert (ran.code, "cellway status" in ran.err) == (3, True)
        ran = await cellway("status", "--root", str(root))
        assert (ran.code, "down" in ran.out) == (3, True)


async def test_a_folder_of_another_version_is_told(cellway: Cellway, tmp_path: Path) -> None:
    """It is not read by guessing."""
    root = tmp_path / ".cellway"
    root.mkdir()
    (root / "platform.json").write_text('{"format": 99}')
    ran = await cellway("tenants", "list")
    assert (ran.code, "format 99" in ran.err) == (3, True)


async def test_an_address_where_nobody_answers_is_3(cellway: Cellway, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the setting that led there."""
    monkeypatch.setenv("CELLWAY_OPERATOR_TOKEN", "op_x")
    for url in (f"http://127.0.0.1:{free_port()}", "nonsense", "http://[", "http://127.0.0.1:99999"):
        monkeypatch.setenv("CELLWAY_PLACEMENT_URL", url)
        ran = await cellway("tenants", "list")
        assert (ran.code, "CELLWAY_PLACEMENT_URL" in ran.err or url in ran.err) == (3, True), (url, ran)


async def test_half_of_the_settings_is_wrong_usage(cellway: Cellway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is never sent to an address that it was not meant for."""
    monkeypatch.setenv("CELLWAY_PLACEMENT_URL", "http://127.0.0.1:1")
    ran = await cellway("tenants", "list")
    assert (ran.code, "CELLWAY_OPERATOR_TOKEN" in ran.err) == (2, True)


async def test_a_wrong_token_is_refused(operator: Cellway, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not shown."""
    monkeypatch.setenv("CELLWAY_OPERATOR_TOKEN", "op_wrong-one")
    ran = await operator("tenants", "list")
    assert (ran.code, "does not know this operator token" in ran.err) == (1, True)
    assert "wrong-one" not in ran.err


async def test_something_else_at_the_address_is_told(
    cellway: Cellway, placement: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The admin port is not placement's API."""
    monkeypatch.setenv("CELLWAY_PLACEMENT_URL", placement.admin_url)
    monkeypatch.setenv("CELLWAY_OPERATOR_TOKEN", "op_x")
    assert (await cellway("tenants", "list")).code in (1, 4)


async def test_clean_removes_a_stopped_platform_and_nothing_else(cellway: Cellway, tmp_path: Path) -> None:
    """A folder of somebody else's, or one in use, is left alone."""
    assert (await cellway("clean", "--yes")).code == 0
    root = tmp_path / ".cellway"
    root.mkdir()
    (root / "thesis.txt").write_text("years of work")
    foreign = await cellway("clean", "--yes")
    assert (foreign.code, root.exists()) == (2, True)
    (root / "platform.json").write_text('{"format": 1}')
    with (root / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        held = await cellway("clean", "--yes")
        assert (held.code, root.exists()) == (1, True)
    assert (await cellway("clean")).code == 2
    assert (await cellway("clean", "--yes")).code == 0
    assert not root.exists()


def _commands(command: Any, path: str = "cellway") -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
    else:
        for name, one in inner.items():
            yield from _commands(one, f"{path} {name}")


def test_every_command_documents_its_exit_codes_and_speaks_json() -> None:
    """Only `up`, which shows a live table, and `token`, which prints a word, have no JSON."""
    commands = dict(_commands(typer.main.get_command(app)))
    assert len(commands) > 20
    for path, command in commands.items():
        assert command.epilog == EXIT_CODES, path
        assert command.help, path
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options or path in ("cellway up", "cellway token"), path


def test_the_command_line_starts_without_loading_what_it_may_not_need() -> None:
    """People wait for each import."""
    heavy = "{'httpx', 'aiohttp', 'asyncpg', 'redis', 'rich.table'}"
    code = f"import sys, console.app; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert found.stdout.strip() == "[]"


def test_the_installed_command_ends_with_its_exit_code() -> None:
    """The entry point itself, as a user types it."""
    command = Path(sys.executable).with_name("cellway")
    ran = subprocess.run([command, "tenants", "list", "--root", "/nowhere"], capture_output=True, timeout=30)
    assert ran.returncode == 3
    assert subprocess.run([command, "--help"], capture_output=True, timeout=30).returncode == 0
