"""Quotas: what a plan gives is never exceeded, and whoever reached it is told what to do."""

import asyncio
import dataclasses
from functools import partial
from typing import Any

import pytest

from cell.app.worker import Worker
from cell.quotas import hold
from cell.rules import quotas
from directory.rules.plans import GIB, PREMIUM, STANDARD
from runtime.api.problem import ApiError
from tests.cell.cells import Answer, CellDatabase, Client, RunningCell, next_epoch, worker_of
from tests.cell.test_operations import ended, provision
from tests.waiting import eventually

REFUSED = (403, "RESOURCE_EXHAUSTED", False)
WAITING = """
    SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE NOT l.granted AND l.locktype = 'advisory' AND a.usename = 'cell_app' AND a.datname = current_database()
"""
STORAGE = "/v1/accounts/acme/namespaces/{}/storage"


async def namespace(client: Client, name: str, **more: Any) -> Answer:
    """Ask for one in the account `acme`."""
    body = {"namespace_id": name, "display_name": name}
    return await client("POST", "/v1/accounts/acme/namespaces", body, **more)


async def filled(client: Client, left: int = 0) -> None:
    """An account with as many namespaces as the plan gives, but for `left`."""
    await client("POST", "/v1/accounts", {"account_id": "acme", "display_name": "Acme"})
    answers = await asyncio.gather(
        *(namespace(client, f"n{number}") for number in range(STANDARD.most_namespaces - left))
    )
    assert {answer.status for answer in answers} == {202}


async def store(client: Client, name: str, size: float, **more: Any) -> Answer:
    """Say what a namespace is going to hold."""
    return await client("PATCH", STORAGE.format(name), {"bytes": size}, **more)


async def change_plan(cell: RunningCell, client: Client, plan: str) -> None:
    """As the operator does."""
    order = {"epoch": client.epoch, "revision": next_epoch(), "state": "active", "display_name": "x", "plan": plan}
    assert (await cell.control("PUT", f"tenants/{client.tenant_id}", order)).status == 200


async def _gone(client: Client, target: str) -> bool:
    return (await client("GET", f"/v1/{target}")).status == 404


@pytest.fixture
async def active(client: Client, worker: Worker) -> Client:
    """A tenant with two provisioned namespaces, `one` and `two`."""
    for operation in [await provision(client, "one"), await provision(client, "two")]:
        assert (await ended(client, operation)).json["state"] == "SUCCEEDED"
    return client


async def test_one_namespace_too_many_is_refused_with_what_to_do(cell: RunningCell, client: Client) -> None:
    """Not retryable and 403, so that nobody takes it for a rate limit; nothing of it is left behind."""
    await filled(client)
    answer = await namespace(client, "more", key="k")
    assert answer.problem == REFUSED
    assert answer.json["metadata"] == {"quota": "namespaces", "limit": "20", "used": "20", "plan": "standard"}
    assert "delete one" in answer.json["message"]
    assert "Retry-After" not in answer.headers
    assert (await client("GET", "/v1/accounts/acme/namespaces/more")).status == 404
    listed = await client("GET", "/v1/operations", params={"page_size": "1"})
    await client("POST", f"/v1/{listed.json['operations'][0]['name']}:cancel")
    async with worker_of(cell.settings):
        await eventually(partial(_gone, client, listed.json["operations"][0]["target"]))
    assert (await namespace(client, "more", key="k")).status == 202


async def test_an_identifier_that_is_taken_is_told_before_the_quota(client: Client) -> None:
    """Who asks for what is there already learns that it is there."""
    await filled(client)
    assert (await namespace(client, "n1")).problem[:2] == (409, "ALREADY_EXISTS")


async def test_creations_at_the_same_moment_never_exceed_the_quota(client: Client) -> None:
    """However many come at once, also in different accounts: as many succeed as there is room."""
    await filled(client, left=5)
    await client("POST", "/v1/accounts", {"account_id": "other", "display_name": "Other"})
    answers = await asyncio.gather(
        *(
            client(
                "POST",
                f"/v1/accounts/{account}/namespaces",
                {"namespace_id": f"m{number}", "display_name": "x"},
            )
            for number in range(12)
            for account in ("acme", "other")
        )
    )
    outcomes = [answer.status if answer.status == 202 else answer.problem for answer in answers]
    assert outcomes.count(202) == 5
    assert outcomes.count(REFUSED) == 19
    assert (await client("GET", "/v1/quotas")).json["quotas"][0] == {
        "quota": "namespaces",
        "limit": 20,
        "used": 20,
    }


async def test_a_larger_plan_gives_more_at_once(client: Client, cell: RunningCell) -> None:
    """The plan is read when it matters; a smaller one takes nothing away, and gives nothing more."""
    await filled(client)
    await change_plan(cell, client, "premium")
    assert (await namespace(client, "more")).status == 202
    await change_plan(cell, client, "standard")
    refused = await namespace(client, "yet-more")
    assert refused.problem == REFUSED
    assert refused.json["metadata"]["used"] == "21"


async def test_another_tenants_namespaces_do_not_count(client: Client, cell: RunningCell) -> None:
    """A quota is a tenant's own."""
    await filled(client)
    other = await cell.tenant()
    await filled(other, left=19)
    assert (await other("GET", "/v1/quotas")).json["quotas"][0]["used"] == 1


async def test_an_unknown_plan_gives_what_standard_does(client: Client, cell: RunningCell) -> None:
    """A plan of a later version must not open the cell to everybody."""
    await change_plan(cell, client, "plan-of-tomorrow")
    assert (await client("GET", "/v1/quotas")).json == {
        "plan": "standard",
        "quotas": [
            {"quota": "namespaces", "limit": 20, "used": 0},
            {"quota": "storage_bytes", "limit": 10 * GIB, "used": 0},
        ],
    }


async def test_what_is_stored_counts_over_all_namespaces(active: Client) -> None:
    """What goes beyond the plan is refused and not kept."""
    assert (await store(active, "one", 6.0 * GIB)).json["bytes"] == 6 * GIB  # to JSON it is a whole number, too
    answer = await store(active, "two", 5 * GIB)
    assert answer.problem == REFUSED
    assert answer.json["metadata"] == {
        "quota": "storage_bytes",
        "limit": str(10 * GIB),
        "used": str(6 * GIB),
        "plan": "standard",
    }
    assert (await active("GET", STORAGE.format("two"))).json["bytes"] == 0
    assert (await store(active, "two", 4 * GIB)).status == 200
    assert (await active("GET", "/v1/quotas")).json["quotas"][1]["used"] == 10 * GIB


async def test_growing_at_the_same_moment_never_exceeds_the_quota(active: Client) -> None:
    """Each alone would fit; together they do not."""
    answers = await asyncio.gather(*(store(active, name, 6 * GIB) for name in ("one", "two")))
    assert sorted(answer.status for answer in answers) == [200, 403]


async def test_less_is_always_taken(active: Client, cell: RunningCell) -> None:
    """Also by a tenant that is over its quota since its plan changed."""
    await change_plan(cell, active, "premium")
    assert (await store(active, "one", 30 * GIB)).status == 200
    await change_plan(cell, active, "standard")
    assert (await store(active, "one", 20 * GIB)).status == 200
    assert (await store(active, "one", 20 * GIB)).status == 200
    assert (await store(active, "one", 20 * GIB + 1)).problem == REFUSED
    assert (await store(active, "two", 1)).problem == REFUSED


async def test_storage_is_changed_for_the_version_that_was_read(active: Client) -> None:
    """Of two who both add to what they read, the second learns that it changed."""
    read = await active("GET", STORAGE.format("one"))
    condition = {"If-Match": read.headers["ETag"]}
    assert (await store(active, "one", 10, headers=condition)).status == 200
    assert (await store(active, "one", 20, headers=condition)).problem == (412, "FAILED_PRECONDITION", False)
    assert (await active("GET", STORAGE.format("one"))).json["bytes"] == 10


async def test_a_released_namespace_gives_its_storage_back(active: Client) -> None:
    """A new one of the same name begins with nothing."""
    await store(active, "one", 10 * GIB)
    await ended(active, await active("DELETE", "/v1/accounts/acme/namespaces/one"))
    assert (await active("GET", STORAGE.format("one"))).status == 404
    assert (await store(active, "two", 10 * GIB)).status == 200


async def test_nothing_is_stored_in_a_namespace_that_is_not_there_yet(client: Client) -> None:
    """FAILED_PRECONDITION until it was provisioned."""
    await provision(client)
    assert (await client("GET", STORAGE.format("prod"))).json["bytes"] == 0
    assert (await store(client, "prod", 1)).problem == (409, "FAILED_PRECONDITION", False)


@pytest.mark.parametrize("size", [-1, 2**53, 1.5, 1e300, "1", None, True], ids=str)
async def test_bytes_are_a_whole_number_that_everybody_can_read(client: Client, size: Any) -> None:
    """400 for anything else."""
    assert (await client("PATCH", STORAGE.format("one"), {"bytes": size})).problem[0] == 400


async def test_a_namespaces_settings_are_those_of_the_plan(
    client: Client, cell: RunningCell, worker: Worker
) -> None:
    """One table says what a plan gives."""
    await change_plan(cell, client, "premium")
    await ended(client, await provision(client))
    settings = (await client("GET", "/v1/accounts/acme/namespaces/prod")).json["settings"]
    given = {"most_users": PREMIUM.most_users, "storage_bytes": PREMIUM.storage_bytes}
    assert {name: settings[name] for name in given} == given


async def test_whoever_looks_at_a_quota_waits_for_who_looked_before(
    client: Client, cell_database: CellDatabase
) -> None:
    """The lock is what the promise rests on: while somebody holds it, nobody else is let through."""
    await client("POST", "/v1/accounts", {"account_id": "acme", "display_name": "Acme"})
    async with cell_database.inside(client) as connection:
        await hold(connection, client.tenant_id)
        asking = asyncio.ensure_future(namespace(client, "n1"))
        watching = await cell_database.connect()
        await eventually(lambda: watching.fetchval(WAITING), every=0.005)
        await watching.close()
        assert not asking.done()
    assert (await asking).status == 202


def test_what_is_used_up_to_the_limit_is_not_over() -> None:
    """The limit itself is given."""
    plan = dataclasses.replace(STANDARD, most_namespaces=2, storage_bytes=5)
    assert [share.over for share in quotas.shares(plan, {"namespaces": 2, "storage_bytes": 6})] == [False, True]
    quotas.check(plan, {"namespaces": 2, "storage_bytes": 6}, "namespaces", 1)
    with pytest.raises(ApiError) as refused:
        quotas.check(plan, {"namespaces": 2, "storage_bytes": 6}, "storage_bytes", 4)
    assert refused.value.metadata == {"quota": "storage_bytes", "limit": "5", "used": "2", "plan": "standard"}
