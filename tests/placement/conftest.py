"""Placements and cells for tests, with a client that knows an operator token."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from placement.app import Program, assemble
from placement.settings import PlacementSettings
from runtime import database
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.placement.fake_cell import CONTROL_KEY, FakeCell
from tests.servers import ControlDatabase, new_control_database

TOKEN = "op_" + "t" * 43
TOKENS = {role: f"op_{role[0] * 43}" for role in ("viewer", "operator", "admin")}
PEOPLE = {"viewer": "vera", "operator": "olaf", "admin": "ada"}
"""Who has them; `TOKEN` is of before there were roles."""


def environment(control: ControlDatabase, redis_url: str) -> dict[str, str]:
    """What a placement is told."""
    told = {
        "PORT": "0",
        "ADMIN_PORT": "0",
        "DIRECTORY_DSN": control.writer_dsn,
        "DIRECTORY_OWNER_DSN": control.owner_dsn,
        "DIRECTORY_REDIS_URL": redis_url,
        "OPERATOR_TOKENS": ",".join(
            [f"op_{'x' * 43}", TOKEN, *(f"{role}:{PEOPLE[role]}:{token}" for role, token in TOKENS.items())]
        ),
        "CONTROL_KEY": CONTROL_KEY,
        "PAGE_KEY": "page-key-for-tests",
        "DRAIN_SECONDS": "0.2",
        "LOAD_SECONDS": "1",
    }
    return {f"CELLWAY_PLACEMENT_{name}": value for name, value in told.items()}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, read."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Client:
    """Calls a placement as an operator, unless told another token."""

    def __init__(self, session: aiohttp.ClientSession, program: Program) -> None:
        self._session = session
        self.program = program
        self.url = program.site.url
        self.admin_url = program.admin_site.url

    async def __call__(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        token: str | None = TOKEN,
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        url = path if path.startswith("http") else self.url + path
        async with self._session.request(method, url, json=json, data=data, headers=sent) as response:
            is_json = response.content_type.endswith("json")
            body = await response.json(content_type=None) if is_json else await response.text()
            return Answer(response.status, body, response.headers)

    async def create(self, tenant_id: str, key: str | None = None, **fields: Any) -> Answer:
        """Ask for a tenant."""
        headers = {} if key is None else {"Idempotency-Key": key}
        body = {"tenant_id": tenant_id, "display_name": tenant_id.title(), **fields}
        return await self("POST", "/v1/tenants", body, headers=headers)


EMPTY = """
TRUNCATE directory.cells, directory.tenants, directory.assignments, directory.changes CASCADE;
TRUNCATE directory.terms, directory.locks, directory.audit, directory.fleet_use;
UPDATE directory.head SET seq = 0, identity = gen_random_uuid();
ALTER SEQUENCE directory.epochs RESTART;
"""


@pytest.fixture(scope="session")
async def reused_database(postgres_server: PostgresServer) -> ControlDatabase:
    """One control database for all tests that begin with an empty one: emptying is quicker than making."""
    return await new_control_database(postgres_server)


@pytest.fixture
async def control_database(reused_database: ControlDatabase) -> ControlDatabase:
    """An empty control database, with an identity of its own."""
    connection = await database.reach(reused_database.admin_dsn)
    await connection.execute(EMPTY)
    await connection.close()
    return reused_database


StartPlacement = Callable[..., Awaitable[Client]]
"""With more settings, by their names without the prefix, if some are wished for."""
StartCell = Callable[..., Awaitable[FakeCell]]


@pytest.fixture
async def start_placement(control_database: ControlDatabase, redis_url: str) -> AsyncIterator[StartPlacement]:
    """Starts placements over one directory; all of them stop with the test."""
    started: list[Program] = []
    async with aiohttp.ClientSession() as session:

        async def start(**more: str) -> Client:
            told = environment(control_database, redis_url)
            told |= {f"CELLWAY_PLACEMENT_{name}": value for name, value in more.items()}
            program = await assemble(PlacementSettings.load(told))
            await program.lifecycle.start()
            started.append(program)
            return Client(session, program)

        yield start
        for program in started:
            await program.lifecycle.stop()


@pytest.fixture
async def placement(start_placement: StartPlacement) -> Client:
    """One placement without cells."""
    return await start_placement()


@pytest.fixture
async def start_cell() -> AsyncIterator[StartCell]:
    """Starts cells that speak the control contract."""
    cells: list[FakeCell] = []

    async def start(cell_id: str = "cell-1", region: str = "eu", tls: ssl.SSLContext | None = None) -> FakeCell:
        cells.append(await FakeCell(cell_id, region, tls).start())
        return cells[-1]

    yield start
    for cell in cells:
        await cell.stop()


@pytest.fixture
async def cell(start_cell: StartCell, placement: Client) -> FakeCell:
    """One cell, registered and open."""
    made = await start_cell()
    answer = await placement("POST", "/v1/cells", made.body())
    assert (answer.status, answer.body["state"]) == (201, "open"), answer
    return made


@pytest.fixture(scope="session")
async def shared(postgres_server: PostgresServer, redis_server: RedisServer) -> AsyncIterator[Client]:
    """A placement for all tests that leave nothing behind."""
    control = await new_control_database(postgres_server)
    # A database of its own within Redis: two directories must not share a cache.
    redis_url = redis_server.url.removesuffix("/0") + "/1"
    program = await assemble(PlacementSettings.load(environment(control, redis_url)))
    await program.lifecycle.start()
    async with aiohttp.ClientSession() as session:
        yield Client(session, program)
    await program.lifecycle.stop()
