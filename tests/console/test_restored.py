"""A database that was restored from a backup is brought up to date before anybody is served by it.

Real cells, a real placement and a real mover. The backup is a copy of the database by its server, which has the
same history as the one that was lost: so nothing but the fences tells that it is older.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

from cell.app.api import Api, assemble_api
from directory.control.token import control_token
from migration.app import assemble as assemble_mover
from migration.settings import MigrationSettings
from placement.app import Program
from placement.app import assemble as assemble_placement
from placement.settings import PlacementSettings
from runtime import database
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.cell.cells import CellDatabase, new_cell_database, settings_for
from tests.console.conftest import Cellway
from tests.placement.conftest import Client, environment
from tests.placement.fake_cell import CONTROL_KEY
from tests.servers import ControlDatabase, new_control_database
from tests.waiting import eventually

MOVE_SECONDS = 60.0


def _named(dsn: str, name: str) -> str:
    return urlsplit(dsn)._replace(path=f"/{name}").geturl()


@dataclass
class Copy:
    """A backup, as a database beside the one that it is of."""

    admin: str
    name: str
    owner: str

    async def made(self) -> "Copy":
        """By the server; nobody may be connected to either."""
        connection = await asyncpg.connect(_named(self.admin, "postgres"))
        try:
            source = urlsplit(self.admin).path[1:]

            # What ends a moment ago may still be seen there.
            async def copied() -> bool:
                try:
                    await connection.execute(
                        f'CREATE DATABASE "{self.name}" OWNER {self.owner} TEMPLATE "{source}"'
                    )
                except asyncpg.ObjectInUseError as error:
                    raise AssertionError(str(error)) from error
                return True

            await eventually(copied, every=0.1)
        finally:
            await connection.close()
        return self


@dataclass
class Site:
    """Two cells with their databases, and a mover."""

    postgres: PostgresServer
    redis_url: str
    folder: Path
    session: aiohttp.ClientSession
    databases: dict[str, CellDatabase] = field(default_factory=dict)
    apis: dict[str, Api] = field(default_factory=dict)

    async def start(self, cell_id: str, *, for_movers: bool = True) -> None:
        """The cell's API; `for_movers`: they know its database."""
        made = self.databases.get(cell_id) or await new_cell_database(self.postgres)
        self.databases[cell_id] = made
        token = control_token(CONTROL_KEY, cell_id)
        known = self.apis.get(cell_id)
        ports = {} if known is None else {"port": known.site.port, "admin_port": known.admin_site.port}
        settings = settings_for(made, self.redis_url, cell_id=cell_id, region="eu", control_token=token, **ports)
        self.apis[cell_id] = api = await assemble_api(settings)
        await api.lifecycle.start()
        if for_movers:
            (self.folder / cell_id).write_text(made.dsns["cell_mover"])

    async def stop(self, cell_id: str) -> None:
        """It is lost."""
        (self.folder / cell_id).unlink(missing_ok=True)
        await self.apis[cell_id].lifecycle.stop()

    async def backup(self, cell_id: str) -> CellDatabase:
        """Of its database, while it is stopped for a moment."""
        await self.stop(cell_id)
        made = self.databases[cell_id]
        name = f"{urlsplit(made.admin).path[1:]}_backup"
        await Copy(made.admin, name, "cell_owner").made()
        await self.start(cell_id)
        return CellDatabase(_named(made.admin, name), {role: _named(dsn, name) for role, dsn in made.dsns.items()})

    async def status(self, cell_id: str, tenant: dict[str, Any], epoch: int | None = None) -> int:
        """What a request of the tenant is answered there, at an epoch that a router believes."""
        headers = {
            "Cellway-Tenant": tenant["tenant_id"],
            "Cellway-Epoch": str(tenant["epoch"] if epoch is None else epoch),
            "Authorization": f"Bearer {tenant['api_key']}",
        }
        url = f"{self.apis[cell_id].site.url}/v1/accounts"
        async with self.session.get(url, headers=headers) as response:
            return response.status

    def body(self, cell_id: str) -> dict[str, Any]:
        """As it registers."""
        api = self.apis[cell_id]
        return {
            "cell_id": cell_id,
            "region": "eu",
            "address": api.site.url,
            "control_address": api.admin_site.url,
            "capacity_tenants": 100,
        }


@pytest.fixture
async def site(postgres_server: PostgresServer, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Site]:
    folder = tmp_path / "movers"
    folder.mkdir()
    async with aiohttp.ClientSession() as session:
        made = Site(postgres_server, redis_server.url, folder, session)
        for cell_id in ("cell-1", "cell-2"):
            await made.start(cell_id)
        yield made
        for cell_id in made.apis:
            await made.stop(cell_id)


@contextlib.asynccontextmanager
async def moving(control: ControlDatabase, folder: Path) -> AsyncIterator[None]:
    """A mover, for as long as it is needed."""
    settings = MigrationSettings(directory_dsn=control.mover_dsn, cells_path=folder, look_seconds=0.05)
    program = await assemble_mover(settings)
    await program.lifecycle.start()
    try:
        yield
    finally:
        await program.lifecycle.stop()


@contextlib.asynccontextmanager
async def placing(control: ControlDatabase, redis_url: str) -> AsyncIterator[Client]:
    """A placement, for as long as it is needed."""
    program: Program = await assemble_placement(PlacementSettings.load(environment(control, redis_url)))
    await program.lifecycle.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(session, program)
    finally:
        await program.lifecycle.stop()


async def _create(placement: Client, site: Site, name: str, cell_id: str) -> dict[str, Any]:
    """A tenant in this cell: the other one is closed meanwhile."""
    other = "cell-2" if cell_id == "cell-1" else "cell-1"
    await placement("POST", f"/v1/cells/{other}:cordon")
    tenant: dict[str, Any] = (await placement.create(name)).body
    assert tenant["cell_id"] == cell_id, tenant
    await placement("POST", f"/v1/cells/{other}:open")
    assert await site.status(cell_id, tenant) == 200
    return tenant


async def _move(placement: Client, name: str, destination: str, until: str = "DONE", **options: Any) -> str:
    body = {"tenant_id": name, "destination": destination, "options": options}
    planned = await placement("POST", "/v1/moves", body)
    assert planned.status == 201, planned
    move_id: str = planned.body["move_id"]
    if until == "DONE":
        return await _confirm(placement, move_id)
    return await _until(placement, move_id, until)


async def _confirm(placement: Client, move_id: str) -> str:
    """Without waiting for the end of its way back."""
    await _until(placement, move_id, "REVERSIBLE")
    confirmed = await placement("POST", f"/v1/moves/{move_id}:confirm")
    assert confirmed.status == 200, confirmed
    return await _until(placement, move_id, "DONE")


async def _until(placement: Client, move_id: str, phase: str) -> str:
    async def there() -> bool:
        move = (await placement("GET", f"/v1/moves/{move_id}")).body
        assert move["phase"] == phase, (move["phase"], move["error"])
        return True

    await eventually(there, seconds=MOVE_SECONDS, every=0.1)
    return move_id


async def _now(placement: Client, tenant: dict[str, Any]) -> dict[str, Any]:
    """The tenant as the directory has it, with its key."""
    known: dict[str, Any] = (await placement("GET", f"/v1/tenants/{tenant['tenant_id']}")).body
    return {**tenant, **{name: value for name, value in known.items() if value is not None}}


async def _well(placement: Client) -> None:
    async def well() -> bool:
        found = (await placement("GET", "/v1/checks")).body
        assert found["ok"], [check for check in found["checks"] if not check["ok"]]
        return True

    await eventually(well, seconds=20, every=0.2)


async def test_a_restored_cell_serves_who_lives_there_by_now_and_nobody_else(
    site: Site,
    control_database: ControlDatabase,
    cellway: Cellway,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who moved away, was deleted or suspended since the backup is not served by it; nobody is at an old epoch."""
    async with placing(control_database, redis_url) as placement, moving(control_database, site.folder):
        for cell_id in ("cell-1", "cell-2"):
            assert (await placement("POST", "/v1/cells", site.body(cell_id))).body["state"] == "open"
        stays, leaves, goes, late = [
            await _create(placement, site, name, "cell-1") for name in ("stays", "leaves", "goes", "late")
        ]
        comes = await _create(placement, site, "comes", "cell-2")
        backup = await site.backup("cell-1")
        left = await _move(placement, "leaves", "cell-2", until="REVERSIBLE")
        await _move(placement, "comes", "cell-1")
        begun = await _move(placement, "stays", "cell-2", until="READY", hold=True)
        await placement("POST", "/v1/tenants/goes:suspend")
        await placement("DELETE", "/v1/tenants/goes")
        await placement("POST", "/v1/tenants/late:suspend")
        new = await _create(placement, site, "new", "cell-1")
        await site.stop("cell-1")
        site.databases["cell-1"] = backup

        # As it is, the backup serves everybody as then: whatever still believes in the old epoch would be served.
        await site.start("cell-1", for_movers=False)
        before = [await site.status("cell-1", each) for each in (stays, leaves, goes, late)]
        assert before == [200, 200, 200, 200]
        monkeypatch.setenv("CELLWAY_CELL_OWNER_DSN", backup.dsns["cell_owner"])
        monkeypatch.setenv("CELLWAY_PLACEMENT_DIRECTORY_DSN", control_database.writer_dsn)
        refused = await cellway("restored", "cell", "cell-1", "--yes")
        assert (refused.code, "cell_app" in refused.err) == (1, True), refused
        await site.stop("cell-1")

        asked = await cellway("restored", "cell", "cell-1")
        assert (asked.code, "--yes" in asked.err) == (2, True), asked
        told = (await cellway("restored", "cell", "cell-1", "--yes", "--json")).json
        assert (told["renewed"], told["missing"], told["strangers"]) == (2, ["comes", "new"], ["goes", "leaves"])
        assert {each["move_id"] for each in told["moves"]} == {left, begun}
        await site.start("cell-1")

        async def served() -> bool:
            assert await site.status("cell-1", await _now(placement, stays)) == 200
            assert await site.status("cell-1", await _now(placement, late)) == 403
            return True

        await eventually(served, every=0.1)
        everybody = (stays, leaves, goes, late, comes, new)
        assert [await site.status("cell-1", each) for each in everybody] == [421] * 6
        assert [await site.status("cell-1", await _now(placement, each)) for each in (comes, new)] == [421, 421]
        assert await site.status("cell-2", await _now(placement, leaves)) == 200
        checks = (await placement("GET", "/v1/checks")).body["checks"]
        wrong = next(check for check in checks if check["name"] == "cell-1 may write exactly for its tenants")
        assert ("comes is assigned" in wrong["detail"], "new is assigned" in wrong["detail"]) == (True, True), (
            wrong
        )
        assert "restore" in wrong["remedy"]

        # Who is missing begins with nothing only when that is said; and the cell takes tenants as before.
        await site.stop("cell-1")
        nobody = await cellway("restored", "cell", "cell-1", "--yes", "--begin-empty", "leaves")
        assert (nobody.code, "leaves do not live in cell-1" in nobody.err) == (4, True), nobody
        said = await cellway(
            "restored", "cell", "cell-1", "--yes", "--begin-empty", "new", "--begin-empty", "comes"
        )
        assert (said.code, "live there  4," in said.out) == (0, True), said
        await site.start("cell-1")

        async def let_in() -> bool:
            assert await site.status("cell-1", await _now(placement, new)) == 401  # its key was lost with its rows
            return True

        await eventually(let_in, seconds=20, every=0.1)
        await _well(placement)
        # A move that had not switched is undone; one that had keeps no way back to rows of another time, and ends.
        await _until(placement, begun, "ABORTED")
        await _confirm(placement, left)
        await _move(placement, "leaves", "cell-1")
        assert await site.status("cell-1", await _now(placement, leaves)) == 200
        await _well(placement)


async def test_a_restored_directory_goes_on_above_all_epochs_and_says_what_the_fences_say(
    site: Site, postgres_server: PostgresServer, cellway: Cellway, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was moved, created, deleted and suspended since the backup is found in the cells; nothing is decided at
    an epoch that was given out before, and no move goes on from where the backup has it."""
    lost = await new_control_database(postgres_server)
    async with placing(lost, redis_url) as placement:
        for cell_id in ("cell-1", "cell-2"):
            assert (await placement("POST", "/v1/cells", site.body(cell_id))).body["state"] == "open"
        tenants = {
            name: await _create(placement, site, name, "cell-1")
            for name in ("stays", "leaves", "goes", "late", "halfway")
        }
        async with moving(lost, site.folder):
            halfway = await _move(placement, "halfway", "cell-2", until="READY", hold=True)
    name = f"{urlsplit(lost.admin_dsn).path[1:]}_backup"
    await Copy(lost.admin_dsn, name, "directory_owner").made()
    backup = ControlDatabase(
        *(_named(dsn, name) for dsn in (lost.admin_dsn, lost.owner_dsn, lost.writer_dsn, lost.mover_dsn))
    )
    async with placing(lost, redis_url) as placement, moving(lost, site.folder):
        await placement("POST", f"/v1/moves/{halfway}:switch")
        await _confirm(placement, halfway)
        await _move(placement, "leaves", "cell-2")
        await placement("POST", "/v1/tenants/goes:suspend")
        await placement("DELETE", "/v1/tenants/goes")
        await placement("POST", "/v1/tenants/late:suspend")
        tenants["new"] = await _create(placement, site, "new", "cell-2")
        epochs = {each: (await _now(placement, tenants[each]))["epoch"] for each in ("leaves", "new", "halfway")}

    # As it is, the backup gives out epochs again that fences know already.
    connection = await asyncpg.connect(backup.owner_dsn)
    assert await connection.fetchval("SELECT last_value FROM directory.epochs") < max(epochs.values())
    monkeypatch.setenv("CELLWAY_MIGRATION_CELLS_PATH", str(site.folder))
    monkeypatch.setenv("CELLWAY_PLACEMENT_DIRECTORY_OWNER_DSN", backup.owner_dsn)
    async with placing(backup, redis_url):
        refused = await cellway("restored", "control", "--apply")
        assert (refused.code, "directory_writer" in refused.err) == (1, True), refused
    said = (await cellway("restored", "control", "--json")).json
    assert (
        said["applied"],
        said["moved"],
        said["unknown"],
        said["gone"],
        said["decisions"],
        said["moves_ended"],
    ) == (*(False, ["halfway", "leaves"], ["new"], ["goes"], ["late"], 1),)
    assert await connection.fetchval("SELECT count(*) FROM directory.tenants WHERE tenant_id = 'new'") == 0
    identity = await connection.fetchval("SELECT identity FROM directory.head")
    assert (await cellway("restored", "control", "--apply")).code == 0
    assert await connection.fetchval("SELECT identity FROM directory.head") != identity
    assert await connection.fetchval("SELECT last_value FROM directory.epochs") > max(epochs.values()) + 10**8
    await connection.close()

    async with placing(backup, redis_url) as placement, moving(backup, site.folder):
        await _well(placement)
        for each, epoch in epochs.items():
            now = await _now(placement, tenants[each])
            assert (now["cell_id"], now["epoch"]) == ("cell-2", epoch)
            assert await site.status("cell-2", now) == 200
        assert await site.status("cell-1", await _now(placement, tenants["late"])) == 403
        assert (await _now(placement, tenants["goes"]))["state"] == "deleted"
        cells = {each["cell_id"]: each["tenants"] for each in (await placement("GET", "/v1/cells")).body["cells"]}
        assert cells == {"cell-1": 2, "cell-2": 3}
        for each in ("leaves", "stays"):
            destination = "cell-1" if each == "leaves" else "cell-2"
            await _move(placement, each, destination)
            assert await site.status(destination, await _now(placement, tenants[each])) == 200
        await _well(placement)


async def test_every_cell_is_asked_before_a_directory_is_believed(
    postgres_server: PostgresServer, cellway: Cellway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who lives in a cell that was not asked, or that the backup does not know, would count as deleted."""
    control = await new_control_database(postgres_server)
    connection = await database.reach(control.owner_dsn)
    await connection.execute(
        "INSERT INTO directory.cells "
        "(cell_id, region, state, address, control_address, capacity_tenants, version, tags) "
        "VALUES ('cell-9', 'eu', 'open', 'http://a', 'http://a', 1, '', '{}')"
    )
    await connection.close()
    monkeypatch.setenv("CELLWAY_PLACEMENT_DIRECTORY_OWNER_DSN", control.owner_dsn)
    folder = tmp_path / "addresses"
    folder.mkdir()
    ran = await cellway("restored", "control", "--cells-path", str(folder), "--apply")
    assert (ran.code, "cell-9" in ran.err) == (4, True), ran
    for name in ("cell-9", "cell-10"):
        (folder / name).write_text("postgresql://cell_mover@127.0.0.1:1/cell")
    ran = await cellway("restored", "control", "--cells-path", str(folder), "--apply")
    assert (ran.code, "cell-10" in ran.err, "cell-9" in ran.err) == (1, True, False), ran
