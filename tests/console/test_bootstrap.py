"""`cellway bootstrap` makes roles and databases on one's own Postgres, and prints settings that work."""

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from directory.control.token import control_token
from placement.settings import PlacementSettings
from runtime.embedded.postgres import PostgresServer
from tests.console.conftest import Cellway


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server on which nobody has made roles yet."""
    with PostgresServer(tmp_path / "postgres", "password-of-the-tests") as server:
        yield server


async def test_ones_own_postgres_is_prepared_once(
    cellway: Cellway, own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The printed lines are placement's and the cell's environment; a second run does not lock programs out."""
    monkeypatch.setenv("CELLWAY_ADMIN_DSN", own_postgres.admin_dsn)
    printed = await cellway("bootstrap", "control", "--redis-url", "redis://10.0.0.1:6379/0")
    assert printed.code == 0, printed
    lines = dict(line.split("=", 1) for line in printed.out.splitlines() if line.startswith("CELLWAY_"))
    settings = PlacementSettings.load({k: v for k, v in lines.items() if k.startswith("CELLWAY_PLACEMENT_")})
    mover = lines["CELLWAY_MIGRATION_DIRECTORY_DSN"]
    for dsn in (settings.directory_dsn, settings.directory_owner_dsn, mover):
        await (await asyncpg.connect(dsn, timeout=30)).close()

    needs = await cellway("bootstrap", "cell", "cell-1")
    assert (needs.code, "CELLWAY_PLACEMENT_CONTROL_KEY" in needs.err) == (2, True)
    for name, value in lines.items():
        monkeypatch.setenv(name, value)
    told = (await cellway("bootstrap", "cell", "cell-1", "--json")).json["cell-1"]
    key = settings.control_key.get_secret_value()
    assert told["CELLWAY_CELL_CONTROL_TOKEN"] == control_token(key, "cell-1")
    for role in ("OWNER", "APP", "CONTROL", "RELAY"):
        await (await asyncpg.connect(told[f"CELLWAY_CELL_{role}_DSN"], timeout=30)).close()

    again = await cellway("bootstrap", "control")
    assert (again.code, "--new-passwords" in again.err, again.out) == (1, True, "")
    await (await asyncpg.connect(settings.directory_dsn, timeout=30)).close()
    anew = await cellway("bootstrap", "control", "--new-passwords")
    assert anew.code == 0
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(settings.directory_dsn, timeout=30)


async def test_a_postgres_that_is_not_there_is_told(cellway: Cellway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its password."""
    monkeypatch.setattr("console.commands.bootstrap.REACH_SECONDS", 0.2)
    ran = await cellway("bootstrap", "control", "--admin-dsn", "postgresql://admin:hidden@127.0.0.1:1/postgres")
    assert (ran.code, "did not answer" in ran.err, "hidden" in ran.err) == (3, True, False)
    ran = await cellway("bootstrap", "control", "--admin-dsn", "nonsense")
    assert ran.code == 2
    assert (await cellway("bootstrap", "cell", "Not A Name", "--admin-dsn", "postgresql://x")).code == 2
