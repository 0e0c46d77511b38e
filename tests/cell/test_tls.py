"""A cell whose ports speak TLS: who gets in, and to what."""

import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cell.app.api import assemble_api
from runtime.embedded.redis import RedisServer
from runtime.errors import StartFailed
from runtime.tls import credentials
from tests.cell import programs
from tests.cell.cells import Answer, CellDatabase, RunningCell, ask, settings_for, worker_of
from tests.fleets import Fleet, copied, put
from tests.waiting import eventually


@contextlib.asynccontextmanager
async def running(
    database: CellDatabase, redis: RedisServer, session: aiohttp.ClientSession, folder: Path, **more: Any
) -> AsyncIterator[RunningCell]:
    """A cell with certificates."""
    settings = settings_for(database, redis.url, tls_folder=str(folder), drain_seconds=0.2, **more)
    api = await assemble_api(settings)
    await api.lifecycle.start()
    try:
        yield RunningCell(api, settings, database, session)
    finally:
        await api.lifecycle.stop()


@pytest.fixture
async def secured(
    fleet: Fleet, cell_database: CellDatabase, redis_server: RedisServer
) -> AsyncIterator[RunningCell]:
    """A cell, and the session of a caller of its fleet."""
    folder = fleet.cell("cell-1", "127.0.0.1")
    async with (
        calling(fleet.calling().context) as session,
        running(cell_database, redis_server, session, folder) as made,
    ):
        yield made


def calling(context: ssl.SSLContext) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))


async def test_the_api_and_the_control_contract_are_served_to_the_fleet(secured: RunningCell) -> None:
    """As without TLS, at addresses that say so."""
    assert secured.url.startswith("https://")
    client = await secured.tenant()
    created = await client("POST", "/v1/accounts", {"account_id": "main", "display_name": "Main"})
    assert created.status == 201, created
    ready = await ask(secured.session, "GET", f"{secured.api.admin_site.url}/health/ready")
    [check] = [check for check in ready.json["checks"] if check["name"] == "certificates"]
    assert (check["ok"], check["detail"][:6], check["required"]) == (True, "until ", False)


async def test_a_client_without_a_certificate_is_refused(secured: RunningCell, fleet: Fleet) -> None:
    """The API does not speak to it at all; beside health, whose probes have none, neither does the admin port."""
    admin = secured.api.admin_site.url
    async with calling(fleet.stranger()) as session:
        with pytest.raises(aiohttp.ClientError, match="CERTIFICATE_REQUIRED"):
            await ask(session, "GET", f"{secured.url}/health/live")
        for path in ("/health/live", "/health/ready"):
            assert (await ask(session, "GET", admin + path)).status == 200
        token = {"Authorization": f"Bearer {secured.settings.control_token.get_secret_value()}"}
        for method, path in (
            ("GET", "/metrics"),
            ("GET", "/settings"),
            ("PUT", "/log-level/debug"),
            ("GET", "/control/v1/cell"),
            ("GET", "/health/../settings"),
            ("GET", "/health/%2e%2e/settings"),
            ("GET", "/nowhere"),
        ):
            answer = await ask(session, method, admin + path, headers=token)
            assert (answer.status, answer.json["code"]) == (403, "PERMISSION_DENIED"), path
            assert "show a certificate" in answer.json["message"]
    assert (await ask(secured.session, "GET", f"{admin}/metrics")).status == 200


async def test_a_certificate_does_not_take_the_place_of_the_control_token(secured: RunningCell) -> None:
    """A router has one, too, and is no control plane."""
    refused: Answer = await secured.control("GET", "cell", token="wrong")
    assert refused.status == 401


async def test_another_cell_does_not_get_in(secured: RunningCell, fleet: Fleet) -> None:
    """Its certificate is good for being called, not for calling: cells talk to nothing of each other."""
    folder = fleet.cell("cell-2")
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    async with calling(context) as session:
        for url in (secured.url, secured.api.admin_site.url):
            with pytest.raises(aiohttp.ClientError, match="UNSUPPORTED_CERTIFICATE"):
                await ask(session, "GET", f"{url}/health/live")


async def test_a_cell_does_not_start_with_certificates_that_nobody_would_accept(
    fleet: Fleet, cell_database: CellDatabase, redis_server: RedisServer
) -> None:
    """Another cell's, for instance: it says so, and what is wrong."""
    settings = settings_for(cell_database, redis_server.url, tls_folder=str(fleet.cell("cell-2")))
    with pytest.raises(StartFailed, match=r"cert\.pem would be refused: .*not valid for 'cell-1'"):
        await assemble_api(settings)


async def test_certificates_are_replaced_while_the_cell_serves(
    fleet: Fleet,
    cell_database: CellDatabase,
    redis_server: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """New connections see the new one; whoever is connected is served on."""
    monkeypatch.setattr(credentials, "LOOK_SECONDS", 0.01)
    folder = copied(fleet.cell("cell-1", "127.0.0.1"), tmp_path / "cell")
    fresh = Fleet(tmp_path / "fresh")

    async with (
        calling(fleet.calling().context) as old,
        running(cell_database, redis_server, old, folder) as cell,
    ):
        client = await cell.tenant()
        assert (await client("GET", "/v1/accounts")).status == 200
        put(fresh.cell("cell-1", "127.0.0.1"), folder)

        async def taken_up() -> bool:
            async with calling(fresh.calling().context) as new:
                try:
                    return (await dataclasses.replace(client, session=new)("GET", "/v1/accounts")).status == 200
                except aiohttp.ClientConnectorCertificateError:
                    return False

        await eventually(taken_up)
        assert (await client("GET", "/v1/accounts")).status == 200


async def test_a_worker_shows_the_same_certificate(
    fleet: Fleet, cell_database: CellDatabase, redis_server: RedisServer
) -> None:
    """All ports of a cell speak TLS; a worker has its admin port."""
    folder = fleet.cell("cell-1", "127.0.0.1")
    settings = settings_for(cell_database, redis_server.url, tls_folder=str(folder), drain_seconds=0.2)
    async with worker_of(settings) as worker, calling(fleet.calling().context) as session:
        assert (await ask(session, "GET", f"{worker.admin_site.url}/metrics")).status == 200


async def test_a_program_that_cannot_use_its_certificates_says_so_and_ends(
    fleet: Fleet, cell_database: CellDatabase, redis_server: RedisServer, tmp_path: Path
) -> None:
    """One sentence, no traceback."""
    folder = copied(fleet.cell(), tmp_path / "cell")
    (folder / "key.pem").unlink()
    settings, log = settings_for(cell_database, redis_server.url, tls_folder=str(folder)), tmp_path / "log"
    async with programs.running("cell", settings, log) as program:
        await eventually(lambda: program.process.poll() is not None, seconds=60.0)
        assert program.process.returncode == 1
    said = log.read_text()
    assert f"cell: {folder}/key.pem is missing: CELLWAY_CELL_TLS_FOLDER names a folder" in said
    assert "Traceback" not in said
