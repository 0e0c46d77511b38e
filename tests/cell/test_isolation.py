"""Every endpoint × another tenant's identifier: the same answer as for an unknown one."""

import re
from typing import Any

import pytest

from cell.api.context import Context
from cell.api.endpoints import ENDPOINTS
from cell.app.worker import Worker
from runtime.api.endpoint import Endpoint
from tests.cell.cells import Answer, Client, RunningCell

NAMED = [endpoint for endpoint in ENDPOINTS if "{" in endpoint.path]
BODIES: dict[str, Any] = {
    "updateAccount": {"display_name": "taken over"},
    "createNamespace": {"namespace_id": "intruder", "display_name": "Intruder"},
    "updateNamespace": {"display_name": "taken over"},
    "updateStorage": {"bytes": 1},
}
UNKNOWN = {
    "account": "nobody",
    "namespace": "nowhere",
    "key": "knothing",
    "operation": "op-nothing",
    "entry": "anothing",
}


@pytest.fixture(scope="module")
async def victim(cell: RunningCell) -> tuple[Client, dict[str, str]]:
    """A tenant that has one of everything, and the identifiers."""
    client = await cell.tenant()
    await client("POST", "/v1/accounts", {"account_id": "acme", "display_name": "Acme"})
    made = await client("POST", "/v1/accounts/acme/namespaces", {"namespace_id": "prod", "display_name": "Prod"})
    key = await client("POST", "/v1/keys", {"display_name": "key"})
    entries = await client("GET", "/v1/audit")
    ids = {
        "entry": entries.json["entries"][0]["name"].removeprefix("audit/"),
        "account": "acme",
        "namespace": "prod",
        "key": key.json["name"].removeprefix("keys/"),
        "operation": made.json["name"].removeprefix("operations/"),
    }
    return client, ids


async def _call(client: Client, endpoint: Endpoint[Context], ids: dict[str, str]) -> Answer:
    path = re.sub(r"\{(\w+)\}", lambda match: ids[match[1]], endpoint.path)
    return await client(endpoint.method, path, BODIES.get(endpoint.operation) if endpoint.body else None)


def _without_names(answer: Answer, ids: dict[str, str]) -> bytes:
    """The body with the asked-for identifiers blanked out, longest first."""
    raw = answer.raw
    for name in sorted(ids.values(), key=len, reverse=True):
        raw = raw.replace(name.encode(), b"*")
    return raw


@pytest.mark.parametrize("endpoint", NAMED, ids=lambda endpoint: endpoint.key())
async def test_another_tenants_identifier_answers_as_an_unknown_one(
    client: Client, victim: tuple[Client, dict[str, str]], endpoint: Endpoint[Context]
) -> None:
    """Status and body tell nothing about other tenants; a new endpoint cannot be forgotten here."""
    owner, ids = victim
    foreign = await _call(client, endpoint, ids)
    unknown = await _call(client, endpoint, UNKNOWN)
    assert foreign.problem == unknown.problem == (404, "NOT_FOUND", False)
    assert _without_names(foreign, ids) == _without_names(unknown, UNKNOWN)
    assert (await owner("GET", "/v1/accounts/acme")).json["display_name"] == "Acme"


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.key())
@pytest.mark.parametrize("known", [True, False])
async def test_a_key_of_another_tenant_is_no_key(
    client: Client, victim: tuple[Client, dict[str, str]], endpoint: Endpoint[Context], known: bool
) -> None:
    """401 before anything else is looked at, whether the resource exists or not."""
    owner, ids = victim
    intruder = Client(client.session, client.url, owner.tenant_id, owner.epoch, client.api_key)
    answer = await _call(intruder, endpoint, ids if known else UNKNOWN)
    assert answer.problem == (401, "UNAUTHENTICATED", False)


LISTS = [endpoint for endpoint in ENDPOINTS if endpoint.operation.startswith("list") and "{" not in endpoint.path]


@pytest.mark.parametrize("endpoint", LISTS, ids=lambda endpoint: endpoint.key())
async def test_lists_hold_nothing_of_another_tenant(
    client: Client, victim: tuple[Client, dict[str, str]], endpoint: Endpoint[Context]
) -> None:
    """What the victim has is in no list of somebody else."""
    answer = await client(endpoint.method, endpoint.path, params={"include_total_size": "true"})
    assert answer.status == 200
    for name in (*victim[1].values(), victim[0].tenant_id):
        assert name.encode() not in answer.raw


async def test_two_tenants_use_the_same_names_and_the_same_idempotency_key(
    cell: RunningCell, worker: Worker
) -> None:
    """Names and keys are scoped to the tenant; answers of one never reach the other."""
    one, two = await cell.tenant(), await cell.tenant()
    for client in (one, two):
        body = {"account_id": "same", "display_name": client.tenant_id}
        answer = await client("POST", "/v1/accounts", body, key="same-key")
        assert (answer.status, answer.json["display_name"]) == (201, client.tenant_id)
        assert "Idempotency-Replayed" not in answer.headers


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.key())
async def test_every_endpoint_is_behind_the_fence(client: Client, endpoint: Endpoint[Context]) -> None:
    """421 before any effect, with the epoch that the cell knows: even a wrong key is not looked at before."""
    known = client.epoch
    client.epoch += 1_000_000
    client.api_key = "wrong"
    answer = await _call(client, endpoint, UNKNOWN)
    assert answer.problem == (421, "FAILED_PRECONDITION", True)
    assert answer.headers["Cellway-Epoch"] == str(known)


async def test_a_tenant_that_was_never_here_is_told_with_epoch_0(client: Client) -> None:
    """The router then knows that its whole assignment is wrong."""
    client.tenant_id = "never-here"
    answer = await client("GET", "/v1/accounts")
    assert (answer.status, answer.headers["Cellway-Epoch"]) == (421, "0")
