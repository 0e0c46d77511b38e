"""Schemathesis against the served document: what the API says of itself is true, whatever is sent."""

import json
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import hypothesis
import pytest
import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

from cell.api.endpoints import ENDPOINTS, openapi
from directory.control.contract import TenantOrder
from runtime.api.endpoint import IDEMPOTENCY_KEY
from runtime.embedded import ports
from runtime.embedded.postgres import PostgresServer
from runtime.embedded.redis import RedisServer
from tests.cell.cells import TOKEN, ask, new_cell_database, next_epoch, settings_for
from tests.cell.programs import running

SCHEMA = schemathesis.openapi.from_dict(json.loads(openapi()))
EXAMPLES = 12


@pytest.fixture(scope="module")
async def origin(
    postgres_server: PostgresServer,
    redis_server: RedisServer,
    session: aiohttp.ClientSession,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """A cell in a process of its own, and the headers of a tenant with some content."""
    settings = settings_for(await new_cell_database(postgres_server), redis_server.url)
    port = ports.free_port("127.0.0.1")
    log = tmp_path_factory.mktemp("openapi") / "api.log"
    async with running("cell", settings, log, CELLWAY_CELL_PORT=str(port)) as api:
        await api.ready(session)
        order = TenantOrder(
            epoch=next_epoch(), revision=next_epoch(), state="active", display_name="x", plan="standard",
            first_key_seed=secrets.token_hex(16),
        )  # fmt: skip
        made = await ask(
            session, "PUT", f"{api.admin_url}/control/v1/tenants/acme",
            headers={"Authorization": f"Bearer {TOKEN}"}, json=order.model_dump(),
        )  # fmt: skip
        headers = {"Cellway-Tenant": "acme", "Cellway-Epoch": str(order.epoch)}
        yield f"http://127.0.0.1:{port}", {**headers, "Authorization": f"Bearer {made.json['api_key']}"}


@SCHEMA.parametrize()
@hypothesis.settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_every_answer_is_as_the_document_says(case: Any, origin: tuple[str, dict[str, str]]) -> None:
    """Statuses, content types, bodies, refusals of bad data, authentication: schemathesis' checks."""
    url, headers = origin
    key = case.headers.get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch(IDEMPOTENCY_KEY, key):
        # A client makes a new key for each intent; the generator likes to repeat "0".
        case.headers["Idempotency-Key"] = secrets.token_hex(8)
    case.call_and_validate(base_url=url, headers=headers, timeout=20, excluded_checks=_excluded(case))


def _excluded(case: Any) -> list[Any]:
    # No JSON schema tells which strings are filters, orders, or tokens that this API has sealed.
    languages = {"filter", "order_by", "page_token"} & set(case.query or {})
    # Nor which of two times comes first, and how far apart they may be.
    times = {"start", "end", "step"} & set(case.query or {})
    # An ETag that is well formed may still be another version's: 412 is then the right answer.
    condition = "If-Match" in (case.headers or {})
    return [positive_data_acceptance] if languages or times or condition else []


def test_the_document_knows_every_endpoint() -> None:
    """One list makes both."""
    described = {
        f"{operation.ok().method.upper()} {operation.ok().path}" for operation in SCHEMA.get_all_operations()
    }
    assert described == {endpoint.key() for endpoint in ENDPOINTS}


async def test_the_served_document_is_the_one_that_was_tested(
    origin: tuple[str, dict[str, str]], session: aiohttp.ClientSession
) -> None:
    """Byte for byte."""
    assert (await ask(session, "GET", f"{origin[0]}/openapi.json")).raw == openapi()
