"""What both servers stand on: a cell's database, a Redis, and a tenant with something to read."""

import asyncio
import contextlib
import json
import secrets
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

import asyncpg

from directory.control.contract import TenantOrder
from directory.fence import MOVER_ROLES
from runtime import database
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer

TENANT, EPOCH = "bench", 1
ACCOUNTS, NAMESPACES = 100, 10_000
ROLES = ("cell_owner", "cell_app", "cell_control", "cell_relay", "cell_mover")
NUMBER, ACCOUNT = "00000000", "@@"
"""In a request: where its running number goes, of the same length, and the last two digits of it."""
_SEED = Path(__file__).with_name("seed.sql")
ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Addresses and secrets, all of them made for this run."""

    server: PostgresServer
    redis: RedisServer
    password: str
    secret: str
    """Everything that a cell wants a secret for."""

    def dsn(self, role: str) -> str:
        return self.server.dsn("cell", role, self.password)

    def admit(self, admin_port: int) -> str:
        """Create the tenant through the cell's control API, and fill it; its API key."""
        order = TenantOrder(
            epoch=EPOCH,
            revision=1,
            state="active",
            display_name="Bench",
            plan="standard",
            first_key_seed=secrets.token_hex(16),
        )
        asked = urllib.request.Request(
            f"http://127.0.0.1:{admin_port}/control/v1/tenants/{TENANT}",
            order.model_dump_json().encode(),
            {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(asked, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 our own address
            api_key: str = json.load(answer)["api_key"]
        asyncio.run(self._seed())
        return api_key

    async def _seed(self) -> None:
        values = {"tenant_id": TENANT, "epoch": EPOCH, "accounts": ACCOUNTS, "namespaces": NAMESPACES}
        connection = await asyncpg.connect(self.dsn("cell_app"), timeout=ANSWER_SECONDS)
        try:
            await connection.execute(Template(_SEED.read_text(encoding="utf-8")).substitute(values))
        finally:
            await connection.close()
        connection = await asyncpg.connect(self.server.dsn("cell"), timeout=ANSWER_SECONDS)
        try:
            await connection.execute("VACUUM ANALYZE")
        finally:
            await connection.close()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Stage]:
    """Both servers, and an empty database with its roles, until the end of the block."""
    password, secret = secrets.token_hex(8), secrets.token_hex(16)
    with (
        PostgresServer(folder / "postgres", password) as server,
        RedisServer(folder / "redis", password) as redis,
    ):
        asyncio.run(
            database.bootstrap(
                server.admin_dsn, "cell", "cell_owner", dict.fromkeys(ROLES, password), MOVER_ROLES
            ),
        )
        yield Stage(server, redis, password, secret)


def read_request(api_key: str) -> bytes:
    """Reads one namespace."""
    path = f"/v1/accounts/a{ACCOUNT}/namespaces/n{NUMBER}"
    return _request("GET", path, api_key, [])


def create_request(api_key: str, prefix: str) -> bytes:
    """Makes one that nobody has made under this prefix."""
    name = f"{prefix}{NUMBER}"
    body = {
        "namespace_id": name,
        "display_name": f"Namespace {NUMBER}",
        "labels": {"env": "prod", "team": "billing"},
    }
    content = json.dumps(body)
    more = [f"Idempotency-Key: {name}", "Content-Type: application/json", f"Content-Length: {len(content)}"]
    return _request("POST", f"/v1/accounts/a{ACCOUNT}/namespaces", api_key, more) + content.encode()


def _request(method: str, path: str, api_key: str, more: list[str]) -> bytes:
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: cell.localhost",
        f"Authorization: Bearer {api_key}",
        f"Cellway-Tenant: {TENANT}",
        f"Cellway-Epoch: {EPOCH}",
        "X-Request-Id: 0190b5a0-7a00-7000-8000-000000000000",
        "Accept: application/json",
        *more,
    ]
    return "\r\n".join([*head, "", ""]).encode()


def numbered(request: bytes, number: int) -> bytes:
    """The request with this number in it."""
    text = request.decode()
    return text.replace(NUMBER, f"{number:08}").replace(ACCOUNT, f"{number % ACCOUNTS:02}").encode()
