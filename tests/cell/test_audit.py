"""The audit log: each change leaves exactly one entry, in its own transaction, and nobody can alter it."""

import dataclasses
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import asyncpg
import pytest

from cell import audit
from cell.api.accounting import accounted
from cell.api.context import Context
from cell.api.endpoints import ENDPOINTS
from cell.app.worker import Worker
from cell.audit import Change
from runtime.api.endpoint import Call, Reply
from tests.cell.cells import Answer, CellDatabase, Client, RunningCell, next_epoch
from tests.cell.test_operations import ended, provision
from tests.cell.test_usage import look

ACCOUNT = {"account_id": "acme", "display_name": "Acme", "labels": {"env": "prod"}}
PROD = "/v1/accounts/acme/namespaces/prod"
MUTATIONS = [endpoint for endpoint in ENDPOINTS if endpoint.method != "GET"]


async def entries(client: Client, **params: str) -> list[dict[str, Any]]:
    """What the log holds, the oldest first."""
    answer = await client("GET", "/v1/audit", params=params)
    assert answer.status == 200, answer
    return list(answer.json["entries"])


async def _account(client: Client) -> None:
    assert (await client("POST", "/v1/accounts", ACCOUNT)).status == 201


async def _provisioned(client: Client) -> None:
    assert (await ended(client, await provision(client))).json["state"] == "SUCCEEDED"


async def _nothing(_client: Client) -> None:
    """Nothing is needed before."""


async def _create_account(client: Client) -> Answer:
    return await client("POST", "/v1/accounts", ACCOUNT)


async def _update_account(client: Client) -> Answer:
    return await client("PATCH", "/v1/accounts/acme", {"display_name": "New"})


async def _delete_account(client: Client) -> Answer:
    return await client("DELETE", "/v1/accounts/acme")


async def _create_namespace(client: Client) -> Answer:
    return await client("POST", PROD.removesuffix("/prod"), {"namespace_id": "prod", "display_name": "Prod"})


async def _update_namespace(client: Client) -> Answer:
    return await client("PATCH", PROD, {"labels": {"env": "prod"}})


async def _delete_namespace(client: Client) -> Answer:
    return await client("DELETE", PROD)


async def _update_storage(client: Client) -> Answer:
    return await client("PATCH", f"{PROD}/storage", {"bytes": 5})


async def _create_key(client: Client) -> Answer:
    return await client("POST", "/v1/keys", {"display_name": "robot"})


async def _revoke_key(client: Client) -> Answer:
    keys = (await client("GET", "/v1/keys", params={"filter": "display_name = robot"})).json["keys"]
    return await client("POST", f"/v1/{keys[0]['name']}:revoke")


async def _cancel_operation(client: Client) -> Answer:
    operations = (await client("GET", "/v1/operations")).json["operations"]
    return await client("POST", f"/v1/{operations[0]['name']}:cancel")


async def _change_plan(client: Client) -> Answer:
    return await client("POST", "/v1/subscription:changePlan", {"plan": "premium"})


async def _leave(client: Client) -> Answer:
    return await client("POST", "/v1/subscription:cancel", {})


async def _robot(client: Client) -> None:
    assert (await _create_key(client)).status == 201


async def _waiting(client: Client) -> None:
    await provision(client)


Before = Callable[[Client], Awaitable[None]]
Act = Callable[[Client], Awaitable[Answer]]
ACME, PROD_STATE = {"display_name": "Acme", "labels": {"env": "prod"}}, {"display_name": "prod", "labels": {}}
PAID = {"plan": "standard", "state": "ACTIVE"}
ROBOT, ASKED = {"display_name": "robot"}, {"type": "provision_namespace", "target": PROD.removeprefix("/v1/")}
SCENES: dict[str, tuple[Before, Act, str, dict[str, Any] | None, dict[str, Any] | None]] = {
    "createAccount": (_nothing, _create_account, "accounts/acme", None, ACME),
    "updateAccount": (_account, _update_account, "accounts/acme", ACME, {**ACME, "display_name": "New"}),
    "deleteAccount": (_account, _delete_account, "accounts/acme", ACME, None),
    "createNamespace": (
        *(_account, _create_namespace, "accounts/acme/namespaces/prod", None),
        {"display_name": "Prod", "labels": {}, "state": "PROVISIONING"},
    ),
    "updateNamespace": (
        *(_provisioned, _update_namespace, "accounts/acme/namespaces/prod"),
        {**PROD_STATE, "state": "ACTIVE"},
        {**PROD_STATE, "labels": {"env": "prod"}, "state": "ACTIVE"},
    ),
    "deleteNamespace": (
        *(_provisioned, _delete_namespace, "accounts/acme/namespaces/prod"),
        {**PROD_STATE, "state": "ACTIVE"},
        {**PROD_STATE, "state": "DELETING"},
    ),
    "updateStorage": (
        *(_provisioned, _update_storage, "accounts/acme/namespaces/prod/storage"),
        {"bytes": 0},
        {"bytes": 5},
    ),
    "createKey": (_nothing, _create_key, "keys/*", None, {**ROBOT, "state": "ACTIVE"}),
    "revokeKey": (_robot, _revoke_key, "keys/*", {**ROBOT, "state": "ACTIVE"}, {**ROBOT, "state": "REVOKED"}),
    "cancelOperation": (
        *(_waiting, _cancel_operation, "operations/*"),
        {**ASKED, "state": "PENDING", "cancel_requested": False},
        {**ASKED, "state": "PENDING", "cancel_requested": True},
    ),
    "changePlan": (_nothing, _change_plan, "subscription", PAID, {**PAID, "plan": "premium"}),
    "cancelSubscription": (_nothing, _leave, "subscription", PAID, {**PAID, "retention_days": 30}),
}
SUBSCRIBED = {"changePlan", "cancelSubscription"}
WITH_WORKER = {name for name, scene in SCENES.items() if scene[0] is _provisioned}


def test_every_change_that_the_api_can_make_has_a_scene_here() -> None:
    """A new endpoint cannot be forgotten."""
    assert set(SCENES) == {endpoint.operation for endpoint in MUTATIONS}


@pytest.mark.parametrize("operation", sorted(set(SCENES) - WITH_WORKER))
async def test_each_change_leaves_exactly_one_entry(
    client: Client, cell_database: CellDatabase, operation: str
) -> None:
    """By whom, what, on what, and what it was before and after."""
    if operation in SUBSCRIBED:
        async with cell_database.inside(client) as connection:
            await connection.execute(
                "INSERT INTO cell.subscriptions (plan, standing) VALUES ('standard', 'ACTIVE')"
            )
    await played(client, operation)


@pytest.mark.parametrize("operation", sorted(WITH_WORKER))
async def test_each_change_of_what_was_provisioned_leaves_exactly_one_entry(
    client: Client, worker: Worker, operation: str
) -> None:
    """The same; what a worker does afterwards is not the tenant's change."""
    await played(client, operation)


async def played(client: Client, operation: str) -> None:
    """One scene, and what it left in the log."""
    prepare, act, target, before, after = SCENES[operation]
    await prepare(client)
    known = {entry["name"] for entry in await entries(client)}
    client.extra["X-Request-Id"] = "the-request"
    answer = await act(client)
    del client.extra["X-Request-Id"]
    assert answer.status < 300, answer
    (entry,) = [entry for entry in await entries(client) if entry["name"] not in known]
    assert (entry["action"], entry["before"], entry["after"]) == (operation, before, after)
    assert entry["target"] == target if "*" not in target else entry["target"].startswith(target[:-1])
    assert entry["request_id"] == "the-request"
    key = (await client("GET", "/v1/keys", params={"order_by": "create_time"})).json["keys"][0]
    assert entry["actor"] == key["name"]
    assert (await client("GET", f"/v1/{entry['name']}")).json == entry


async def test_a_replay_and_a_refusal_leave_none(client: Client) -> None:
    """Nothing was changed by them."""
    known = len(await entries(client))
    for _ in range(3):
        await client("POST", "/v1/accounts", ACCOUNT, key="k")
    assert (await client("POST", "/v1/accounts", ACCOUNT)).status == 409
    assert (await client("DELETE", "/v1/accounts/acme", headers={"If-Match": '"9"'})).status == 412
    assert len(await entries(client)) == known + 1


async def test_a_handler_that_does_not_say_what_it_changed_fails() -> None:
    """So that it is found by the first test of it, and nothing is committed."""

    async def forgetful(_call: Call[Context]) -> Reply:
        return Reply(204)

    nothing = cast(Any, None)
    context = Context(nothing, nothing, nothing, 0.0, nothing)
    call = Call(nothing, {}, None, None, b"", context)
    endpoint = dataclasses.replace(MUTATIONS[0], handler=forgetful)
    with pytest.raises(RuntimeError, match="does not say"):
        await accounted(endpoint, call)


@pytest.mark.parametrize("value", ["x" * 129, "a b", "ü", "", "{}"], ids=lambda value: value[:9])
async def test_a_malformed_request_id_is_not_written_down(client: Client, value: str) -> None:
    """The router sends none; whoever asks the cell directly may send anything."""
    client.extra["X-Request-Id"] = value
    assert (await client("POST", "/v1/accounts", ACCOUNT)).status == 201
    assert (await entries(client))[-1]["request_id"] is None


async def test_no_secret_is_written_down(client: Client, cell_database: CellDatabase) -> None:
    """Neither API keys nor their hashes, whoever made them."""
    made = await client("POST", "/v1/keys", {"display_name": "robot"})
    await client("POST", f"/v1/{made.json['name']}:revoke")
    async with cell_database.inside(client) as connection:
        text = str(await connection.fetchval("SELECT json_agg(e) FROM cell.audit_entries e"))
        hashes = await connection.fetch("SELECT encode(secret_hash, 'hex') AS hash FROM cell.api_keys")
    secrets = [made.json["api_key"], client.api_key, *(row["hash"] for row in hashes)]
    assert len(secrets) == 4
    for secret in secrets:
        assert secret.split("_", 2)[-1] not in text  # which may have more of them


async def test_what_the_operator_decides_is_in_the_tenants_log(client: Client, cell: RunningCell) -> None:
    """Once for each decision, however often its messenger comes."""
    path = f"tenants/{client.tenant_id}"
    order = {"epoch": client.epoch, "revision": next_epoch(), "state": "active", "display_name": "x"}
    key = {"display_name": "robot", "seed": "s" * 20}
    for _ in range(2):
        assert (await cell.control("PUT", path, {**order, "plan": "premium"})).status == 200
        made = (await cell.control("POST", f"{path}/keys", key)).json["key_id"]
    for _ in range(2):
        await cell.control("POST", f"{path}/keys/{made}:revoke")
    seen = await entries(client, filter="actor = operator")
    assert [(entry["action"], entry["target"]) for entry in seen] == [
        ("putTenant", f"tenants/{client.tenant_id}"),
        ("createKey", seen[1]["target"]),
        ("putTenant", f"tenants/{client.tenant_id}"),
        ("createKey", f"keys/{made}"),
        ("revokeKey", f"keys/{made}"),
    ]
    changed = seen[2]
    assert (changed["before"]["plan"], changed["after"]["plan"]) == ("standard", "premium")
    assert seen[0]["before"] is None


async def test_a_stale_decision_is_not_in_the_log(client: Client, cell: RunningCell) -> None:
    """It was refused."""
    order = {"epoch": client.epoch, "revision": 1, "state": "suspended", "display_name": "x", "plan": "premium"}
    known = await entries(client)
    assert (await cell.control("PUT", f"tenants/{client.tenant_id}", order)).status == 409
    assert await entries(client) == known


async def _undone(cell_database: CellDatabase, client: Client, change: Change) -> None:
    async with cell_database.inside(client) as connection:
        await audit.record(connection, audit.WORKER, "undone", change)
        raise ZeroDivisionError


async def test_background_work_writes_entries_in_its_own_transaction(
    client: Client, cell_database: CellDatabase
) -> None:
    """An entry is there if and only if what it tells of was committed."""
    change = Change("accounts/acme", None, {"display_name": "Acme"})
    with pytest.raises(ZeroDivisionError):
        await _undone(cell_database, client, change)
    async with cell_database.inside(client) as connection:
        entry_id = await audit.record(connection, audit.WORKER, "done", change)
    (entry,) = await entries(client, filter="actor = worker")
    assert (entry["name"], entry["action"], entry["after"]) == (f"audit/{entry_id}", "done", change.after)


async def test_the_log_is_filtered_ordered_and_paged(client: Client) -> None:
    """As every list is: by actor, action, target, time and request."""
    for name in ("one", "two", "three"):
        await client("POST", "/v1/accounts", {"account_id": name, "display_name": name})
    await client("DELETE", "/v1/accounts/two")
    everything = await entries(client)
    assert [entry["name"] for entry in everything] == sorted(entry["name"] for entry in everything)
    times = [entry["create_time"] for entry in everything]
    assert times == sorted(times)
    two = await entries(client, filter='target = "accounts/two"', order_by="create_time desc")
    assert [entry["action"] for entry in two] == ["deleteAccount", "createAccount"]
    assert len(await entries(client, filter=f'action = createAccount AND create_time > "{times[2]}"')) == 2
    assert len(await entries(client, filter='actor = "keys/*" AND NOT target = "accounts/t*"')) == 1
    first = await client("GET", "/v1/audit", params={"page_size": "3", "include_total_size": "true"})
    token = first.json["next_page_token"]
    rest = await client("GET", "/v1/audit", params={"page_size": "3", "page_token": token})
    assert [*first.json["entries"], *rest.json["entries"]] == everything
    assert first.json["total_size"] == len(everything) == 6


async def test_entries_are_removed_after_400_days_and_not_before(
    client: Client, cell: RunningCell, cell_database: CellDatabase
) -> None:
    """By the one function that removes old ones alone: whoever serves tenants could not remove a young one."""
    async with cell_database.inside(client) as connection:
        for days in (399, 401):
            await connection.execute(
                "INSERT INTO cell.audit_entries (entry_id, at, actor, action, target) "
                "VALUES ('a' || $1::int, now() - make_interval(days => $1::int), 'x', 'x', 'x')",
                days,
            )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute("DELETE FROM cell.audit_entries WHERE entry_id = 'a399'")
    await look(cell)
    assert [entry["name"] for entry in await entries(client, filter="actor = x")] == ["audit/a399"]
    async with cell_database.inside(client) as connection:
        assert await connection.fetchval("SELECT cell.expire_audit(100)") == 0


async def test_one_tenants_function_call_removes_nothing_of_another(
    client: Client, cell: RunningCell, cell_database: CellDatabase
) -> None:
    """The function has its owner's rights, and row security is forced on its owner too."""
    other = await cell.tenant()
    async with cell_database.inside(other) as connection:
        await connection.execute(
            "INSERT INTO cell.audit_entries (entry_id, at, actor, action, target) "
            "VALUES ('old', now() - interval '500 days', 'x', 'x', 'x')"
        )
    async with cell_database.inside(client) as connection:
        assert await connection.fetchval("SELECT cell.expire_audit(100)") == 0
    assert len(await entries(other, filter="actor = x")) == 1


async def test_an_entry_is_json_that_anybody_can_read(client: Client) -> None:
    """Names in any language come back as they were."""
    name = "Ünïcødé 名前 \U0001f600"
    await client("POST", "/v1/accounts", {"account_id": "acme", "display_name": name})
    entry = (await entries(client))[-1]
    assert json.loads(json.dumps(entry))["after"]["display_name"] == name
