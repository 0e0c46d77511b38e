"""A customer leaves: it may come back until the deletion begins; then nothing is left but what was charged."""

import asyncio
from typing import Any

import pytest

from cell.control.tenants import TABLES
from cell.errors import NotAllowed
from cell.orchestrator.actions import There
from cell.workflows import beginning
from cell.workflows.deleting import DELETED, GONE_WITH_ANOTHER, KEPT, Deletion
from cell.workflows.exporting import SOURCES, Export
from tests.cell.lifecycle.life import Life, described, failing, with_step
from tests.waiting import eventually


async def leave(life: Life, days: int = 30) -> str:
    """Asked for, not carried out."""
    return await life.ask(lambda c: beginning.offboard(c, days))


async def exported(life: Life) -> dict[str, list[dict[str, Any]]]:
    """What the customer can take along."""
    rows = sorted(await life.rows("exports"), key=lambda row: row["part"])
    assert [row["part"] for row in rows] == list(range(1, len(rows) + 1))
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows[:-1]:
        found.setdefault(row["source"], []).extend(described(row["content"]))
    assert rows[-1]["source"] is None
    return found


async def test_who_leaves_is_deleted_after_the_retention(life: Life) -> None:
    """Suspended at once, exported, kept for the days that were agreed, then gone but for what was charged."""
    await life.customer(trial_days=None)
    name = await leave(life, 45)
    seen = await life.hint(name)
    assert (seen.state, await life.state(), await life.billed()) == (
        *("RETENTION_IN_PROGRESS", "SUSPENDED", ("standard", "PAUSED")),
    )
    async with life.entered() as connection:
        waits = await connection.fetchval(
            "SELECT extract(epoch FROM wake_at - now()) / 86400 FROM cell.orchestrations "
            "WHERE orchestration_id = $1", name,
        )  # fmt: skip
    assert 44.9 < waits < 45.1
    assert (await life.subjects())[-1] == "Your data will be deleted in 45 days"
    taken = await exported(life)
    assert taken["accounts"][0]["account_id"] == "main"
    assert taken["namespaces"][0]["namespace_id"] == "first"
    assert (await life.finish(name)).outcome == "COMPLETED"
    assert await life.left() == {"subscriptions": 1, "billing_subscriptions": 1}
    [invoice], [subscription] = await life.rows("invoices"), await life.rows("subscriptions")
    assert (invoice["kind"], invoice["state"]) == ("FINAL", "ISSUED")
    assert (subscription["state"], subscription["email"]) == ("CLOSED", None)
    assert await life.billed() == ("standard", "CANCELLED")


async def test_who_changes_its_mind_has_everything_back(life: Life) -> None:
    """As long as the deletion has not begun."""
    await life.customer()
    name = await leave(life)
    await life.hint(name)
    assert await life.stage.cancel(name, life.bound["offboarding"])
    assert (await life.finish(name)).outcome == "ROLLED_BACK"
    assert (await life.state(), await life.billed()) == ("TRIAL", ("standard", "TRIAL"))
    assert await life.rows("exports") == []
    assert await leave(life) != name


async def test_once_the_deletion_has_begun_it_is_too_late(life: Life) -> None:
    """Whoever asks then is told so, and what fails from then on undoes nothing."""
    await life.customer()
    name, bound = await leave(life), life.bound["offboarding"]
    await life.hint(name)
    await life.stage.time_passes(name)
    seen = await life.finish(name, with_step(bound, "delete", failing))
    assert (seen.state, seen.outcome, await life.state()) == ("DELETE_STUCK", None, "CLOSED")
    with pytest.raises(NotAllowed, match="any more"):
        await life.stage.cancel(name, bound)
    with pytest.raises(NotAllowed, match="any more"):
        await life.ask(beginning.stay)


async def test_a_cancellation_that_comes_with_the_last_second_is_kept(life: Life) -> None:
    """A worker that has not heard of it finds it in the row, before it closes anything."""
    await life.customer()
    name, bound = await leave(life), life.bound["offboarding"]
    await life.hint(name)
    await life.stage.time_passes(name)
    async with life.entered() as connection:
        await connection.fetchrow("SELECT * FROM cell.subscriptions FOR UPDATE")  # so the worker waits in `close`
        closing = asyncio.ensure_future(life.hint(name))

        async def waits() -> bool:
            return (await life.stage.seen(name)).state == "CLOSE_IN_PROGRESS"

        await eventually(waits, every=0.005)
        assert await life.stage.cancel(name, bound)
    await closing
    assert (await life.finish(name)).outcome == "ROLLED_BACK"
    assert (await life.state(), await life.billed()) == ("TRIAL", ("standard", "TRIAL"))


@pytest.mark.parametrize("step", ["block", "billing", "export", "close"])
async def test_when_a_step_before_the_deletion_fails_nothing_has_changed(life: Life, step: str) -> None:
    """The customer is served as before."""
    await life.customer(trial_days=None)
    name = await leave(life)
    seen = await life.finish(name, with_step(life.bound["offboarding"], step, failing))
    assert seen.outcome == "ROLLED_BACK"
    assert (await life.state(), await life.billed()) == ("ACTIVE", ("standard", "ACTIVE"))
    assert await life.rows("exports") == []


async def test_an_invoice_that_fails_waits_for_a_person(life: Life) -> None:
    """There is no way back from a deletion."""
    await life.customer()
    seen = await life.finish(await leave(life), with_step(life.bound["offboarding"], "invoice", failing))
    assert (seen.state, seen.outcome) == ("INVOICE_STUCK", None)


async def test_while_a_customer_leaves_nothing_else_is_changed(life: Life) -> None:
    """And to leave twice is to leave once."""
    trial = await life.customer()
    name = await leave(life)
    await life.hint(name)
    assert await leave(life) == name
    for ask in (
        lambda c: beginning.change_plan(c, life.stage.tenant_id, "premium"),
        beginning.suspend,
        beginning.resume,
    ):
        with pytest.raises(NotAllowed):
            await life.ask(ask)
    await life.stage.time_passes(trial)
    await life.hint(trial)
    assert "Your trial is over" not in await life.subjects()
    await life.finish(name)
    assert (await life.finish(trial)).outcome == "COMPLETED"
    with pytest.raises(NotAllowed, match="closed"):
        await life.ask(beginning.suspend)
    with pytest.raises(NotAllowed):
        await life.ask(beginning.stay)


async def test_a_customer_who_was_suspended_is_suspended_again_when_it_stays(life: Life) -> None:
    """Each of the two reasons is lifted by itself."""
    await life.customer(trial_days=None)
    await life.finish(await life.ask(beginning.suspend))
    name = await leave(life)
    await life.hint(name)
    await life.ask(beginning.stay)
    assert (await life.finish(name)).outcome == "ROLLED_BACK"
    assert await life.ask(beginning.stay) == name
    assert (await life.state(), await life.billed()) == ("SUSPENDED", ("standard", "PAUSED"))
    assert (await life.finish(await life.ask(beginning.resume))).outcome == "COMPLETED"
    assert await life.state() == "ACTIVE"


async def test_nothing_is_written_once_it_is_suspended(life: Life) -> None:
    """A request that began before is waited for: it is part of the export."""
    await life.customer(trial_days=None)
    name = await leave(life)
    async with life.entered() as connection:
        await connection.execute("INSERT INTO cell.accounts (account_id, display_name) VALUES ('late', 'x')")
        seen = await life.hint(name)
        assert (seen.state, seen.attempts["block"], seen.wakes) == ("BLOCK_IN_PROGRESS", 0, True)
    await life.stage.time_passes(name)
    await life.hint(name)
    assert {row["account_id"] for row in (await exported(life))["accounts"]} == {"main", "late"}


async def test_an_export_is_written_in_parts_and_over_several_turns(life: Life) -> None:
    """It goes on where it stopped, and holds every row once; no secret is in it."""
    await life.customer(trial_days=None)
    await life.namespaces(25)
    async with life.entered() as connection:
        await connection.execute(
            "INSERT INTO cell.api_keys (key_id, display_name, secret_hash) "
            "VALUES ('k1', 'x', decode(repeat('ab', 32), 'hex'))"
        )
    name, pool = await leave(life), life.stage.pool
    small = with_step(
        life.bound["offboarding"], "export", lambda _a: There(Export(pool, rows=4, at_once_seconds=0))
    )
    turns = 0
    while (seen := await life.hint(name, small)).state != "RETENTION_IN_PROGRESS":
        assert (seen.state, seen.attempts["export"]) == ("EXPORT_IN_PROGRESS", 0)
        await life.stage.time_passes(name)
        turns += 1
    assert turns > 8
    found = await exported(life)
    assert sorted(row["namespace_id"] for row in found["namespaces"]) == sorted(
        ["first", *(f"more-{number}" for number in range(1, 26))]
    )
    [key] = found["api_keys"]
    assert set(key) == {"key_id", "display_name", "version", "created_at", "updated_at", "revoked_at"}
    assert "ab" * 32 not in str(found)


async def test_a_deletion_of_many_rows_takes_several_turns(life: Life) -> None:
    """Each is bounded, and none counts as a failure."""
    await life.customer(trial_days=None)
    await life.namespaces(25)
    name, pool = await leave(life), life.stage.pool
    small = with_step(life.bound["offboarding"], "delete", lambda _a: There(Deletion(pool, 4, at_once_seconds=0)))
    await life.hint(name, small)
    await life.stage.time_passes(name)
    seen = await life.hint(name, small)
    assert (seen.state, seen.attempts["delete"]) == ("DELETE_IN_PROGRESS", 0)
    assert (await life.finish(name)).outcome == "COMPLETED"
    assert await life.left() == {"subscriptions": 1, "billing_subscriptions": 1}


def test_every_table_is_deleted_or_kept_on_purpose() -> None:
    """A new one must not be forgotten here; what is exported is there."""
    assert set(DELETED) | KEPT | GONE_WITH_ANOTHER == set(TABLES)
    assert len(DELETED) + len(KEPT) + len(GONE_WITH_ANOTHER) == len(TABLES)
    assert [table for table in TABLES if table in DELETED] == sorted(DELETED, key=TABLES.index)
    assert set(SOURCES) <= set(TABLES)
