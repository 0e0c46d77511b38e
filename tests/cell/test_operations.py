"""Operations and the namespaces that come and go by them."""

import asyncio

import pytest

from cell.api import notices
from cell.app.worker import Worker
from tests.cell.cells import Answer, CellDatabase, Client, RunningCell, worker_of
from tests.waiting import eventually


async def provision(client: Client, name: str = "prod") -> Answer:
    """Ask for a namespace; the account is made when it is not there."""
    await client("POST", "/v1/accounts", {"account_id": "acme", "display_name": "Acme"})
    answer = await client("POST", "/v1/accounts/acme/namespaces", {"namespace_id": name, "display_name": name})
    assert answer.status == 202, answer
    return answer


async def ended(client: Client, operation: Answer) -> Answer:
    """Wait for an operation through the API."""
    return await client("GET", f"/v1/{operation.json['name']}:wait", params={"timeout_seconds": "20"})


async def test_a_namespace_is_provisioned_and_released(client: Client, worker: Worker) -> None:
    """Each is an operation that tells its steps; what was given is given back."""
    begun = await provision(client)
    assert begun.json["state"] == "PENDING"
    assert begun.headers["Location"] == f"../../{begun.json['name']}"
    done = await ended(client, begun)
    assert (done.json["state"], done.json["progress"]["steps_done"]) == ("SUCCEEDED", 8)
    namespace = await client("GET", "/v1/accounts/acme/namespaces/prod")
    assert namespace.json["state"] == "ACTIVE"
    assert namespace.json["endpoint"] == f"prod.acme.{client.tenant_id}.namespaces.localhost"
    assert namespace.json["settings"]["most_users"] == 100
    assert (await client("DELETE", "/v1/accounts/acme")).problem[:2] == (409, "FAILED_PRECONDITION")
    patched = await client("PATCH", "/v1/accounts/acme/namespaces/prod", {"labels": {"a": "b"}})
    assert patched.json["labels"] == {"a": "b"}
    released = await client(
        "DELETE", "/v1/accounts/acme/namespaces/prod", headers={"If-Match": patched.headers["ETag"]}
    )
    assert released.status == 202
    assert (await ended(client, released)).json["state"] == "SUCCEEDED"
    assert (await client("GET", "/v1/accounts/acme/namespaces/prod")).status == 404
    assert (await client("DELETE", "/v1/accounts/acme")).status == 204


async def test_a_namespace_that_is_being_provisioned_cannot_be_deleted(client: Client) -> None:
    """FAILED_PRECONDITION; cancelling its operation is the way."""
    await provision(client)
    answer = await client("DELETE", "/v1/accounts/acme/namespaces/prod")
    assert answer.problem == (409, "FAILED_PRECONDITION", False)


async def test_what_has_not_begun_is_undone_as_well(cell: RunningCell, client: Client) -> None:
    """The namespace goes once a worker is there, and cancelling again changes nothing."""
    begun = await provision(client)
    asked = await client("POST", f"/v1/{begun.json['name']}:cancel")
    assert (asked.status, asked.json["state"], asked.json["cancel_requested"]) == (200, "PENDING", True)
    async with worker_of(cell.settings):
        cancelled = await ended(client, begun)
    assert cancelled.json["state"] == "CANCELLED"
    assert (await client("GET", "/v1/accounts/acme/namespaces/prod")).status == 404
    assert (await client("POST", f"/v1/{begun.json['name']}:cancel")).json == cancelled.json


async def test_what_has_ended_cannot_be_cancelled(client: Client, worker: Worker) -> None:
    """FAILED_PRECONDITION."""
    begun = await provision(client)
    await ended(client, begun)
    assert (await client("POST", f"/v1/{begun.json['name']}:cancel")).problem[0] == 409


async def test_waiting_ends_with_the_operation(client: Client, cell: RunningCell) -> None:
    """A waiter is woken by the commit that ends the operation."""
    begun = await provision(client)
    waiting = asyncio.ensure_future(ended(client, begun))
    notices = cell.api.notices
    await eventually(
        lambda: notices.waiting(f"{client.tenant_id}/{begun.json['name'].removeprefix('operations/')}")
    )
    async with worker_of(cell.settings):
        answer = await waiting
    assert answer.json["state"] == "SUCCEEDED"


async def test_waiting_is_bounded(client: Client) -> None:
    """At the time-out the operation is answered as it is."""
    begun = await provision(client)
    answer = await client("GET", f"/v1/{begun.json['name']}:wait", params={"timeout_seconds": "0.2"})
    assert (answer.status, answer.json["state"]) == (200, "PENDING")
    too_long = await client("GET", f"/v1/{begun.json['name']}:wait", params={"timeout_seconds": "31"})
    assert too_long.problem[0] == 400


async def test_waiters_hold_no_transaction(client: Client, cell_database: CellDatabase, cell: RunningCell) -> None:
    """More waiters than connections in the pool, and everybody else is served."""
    begun = await provision(client)
    waiting = [
        asyncio.ensure_future(client("GET", f"/v1/{begun.json['name']}:wait", params={"timeout_seconds": "3"}))
        for _ in range(3 * cell.settings.pool_size)
    ]
    topic = f"{client.tenant_id}/{begun.json['name'].removeprefix('operations/')}"
    await eventually(lambda: cell.api.notices.waiting(topic) == len(waiting))
    assert (await client("GET", "/v1/accounts")).status == 200
    async with worker_of(cell.settings):
        assert {answer.json["state"] for answer in await asyncio.gather(*waiting)} == {"SUCCEEDED"}


async def test_a_key_revoked_while_waiting_ends_the_wait(
    client: Client, cell: RunningCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look asks fence and key again."""
    monkeypatch.setattr(notices, "LOOK_AGAIN_SECONDS", 0.2)
    begun = await provision(client)
    key = await client("POST", "/v1/keys", {"display_name": "waiter"})
    waiter = Client(client.session, client.url, client.tenant_id, client.epoch, key.json["api_key"])
    waiting = asyncio.ensure_future(ended(waiter, begun))
    topic = f"{client.tenant_id}/{begun.json['name'].removeprefix('operations/')}"
    await eventually(lambda: cell.api.notices.waiting(topic))
    await client("POST", f"/v1/{key.json['name']}:revoke")
    assert (await waiting).status == 401


async def test_operations_are_listed_with_filters(cell: RunningCell, client: Client) -> None:
    """By state, type and target."""
    begun = [await provision(client, "one")]
    await client("POST", f"/v1/{begun[0].json['name']}:cancel")
    async with worker_of(cell.settings):
        await ended(client, begun[0])
    begun.append(await provision(client, "two"))
    listed = await client("GET", "/v1/operations", params={"filter": "state = PENDING"})
    assert [operation["name"] for operation in listed.json["operations"]] == [begun[1].json["name"]]
    listed = await client(
        "GET", "/v1/operations", params={"filter": 'target = "*/one"', "order_by": "create_time"}
    )
    assert [operation["state"] for operation in listed.json["operations"]] == ["CANCELLED"]
