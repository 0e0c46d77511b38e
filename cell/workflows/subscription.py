"""What several workflows do with a subscription's row: each in one transaction, under the row's lock.

Whoever asks for a change writes its operation into `changing`, in the transaction in which the operation begins.
There it is until the change is made or undone, and nobody else begins one meanwhile.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from cell.database import SQL
from cell.errors import Unfit
from cell.orchestrator import starting
from cell.orchestrator.actions import Call, Here, Outage
from cell.rules.subscriptions import OFFBOARDING, OPERATOR, can, moved
from cell.rules.turns import Output
from runtime.database import Connection

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '250ms'"
NO_LOCK_TIMEOUT = "SET LOCAL lock_timeout TO DEFAULT"
TRIAL_SIGNALS = ("upgraded", "upgraded_in_grace")

Undo = Callable[[Connection, Call, Any], Awaitable[None]]


def undone(undo: Undo) -> Callable[[Connection, Call], Awaitable[None]]:
    """The way back of a step here: with what it made, and only if it was ever done."""

    async def way_back(connection: Connection, call: Call) -> None:
        made = await connection.fetchval(SQL["step_output"], call.orchestration_id, call.step)
        if made is not None:
            await undo(connection, call, json.loads(made))

    return way_back


async def locked(connection: Connection) -> asyncpg.Record:
    """The subscription, held until the decision about it commits. Unfit: there is none."""
    row = await connection.fetchrow(SQL["lock_subscription"])
    if row is None:
        raise Unfit("this tenant has no subscription")
    return row


async def not_cancelled(connection: Connection, call: Call) -> None:
    """Whether nobody asked for the way back before this very moment; later it is too late. Unfit."""
    if await connection.fetchval(SQL["lock_orchestration"], call.orchestration_id):
        raise Unfit("it was cancelled")


async def tell_trial(connection: Connection, row: asyncpg.Record) -> None:
    """Whoever waits for the trial's end need not wait on."""
    if row["trial_operation"] is not None:
        for name in TRIAL_SIGNALS:
            await starting.tell(connection, row["trial_operation"], name, {})


async def _mine(connection: Connection, call: Call) -> asyncpg.Record:
    row = await locked(connection)
    if row["changing"] != call.orchestration_id:
        raise Unfit("another operation changes this subscription")
    return row


async def _claim(connection: Connection, call: Call) -> Output:
    row = await _mine(connection, call)
    return {"email": row["email"], "plan": row["plan"]}


async def _let_go(connection: Connection, call: Call) -> None:
    await connection.execute(SQL["free_subscription"], call.orchestration_id)


CLAIM = Here(_claim, _let_go)
"""The first step of a change: it is ours, and is let go when the change is undone."""


def block(reason: str, *, keep: bool) -> Here:
    """Serve the customer no more. `keep`: others must wait until the change is made."""

    async def act(connection: Connection, call: Call) -> Output:
        row = await _alone(connection, call)
        blocks = sorted({*row["blocks"], reason})
        changing = call.orchestration_id if keep else None
        await connection.execute(SQL["set_subscription_standing"], row["standing"], blocks, changing)
        return {"email": row["email"], "plan": row["plan"]}

    async def undo(connection: Connection, call: Call) -> None:
        await undone(lift)(connection, call)
        await _let_go(connection, call)

    async def lift(connection: Connection, _call: Call, _made: Any) -> None:
        row = await locked(connection)
        blocks = sorted({*row["blocks"]} - {reason})
        await connection.execute(SQL["set_subscription_standing"], row["standing"], blocks, row["changing"])

    return Here(act, undo)


async def _alone(connection: Connection, call: Call) -> asyncpg.Record:
    """Our subscription, without anybody who writes: nothing that began before is written once this commits.

    Others lock the row first and write then. So that nobody waits in a circle, this gives up soon. Outage.
    """
    try:
        await connection.execute(LOCK_TIMEOUT)
        await connection.execute(SQL["exclude_writers"])
        row = await _mine(connection, call)
        await connection.execute(NO_LOCK_TIMEOUT)
    except asyncpg.LockNotAvailableError:
        raise Outage("requests of this tenant are under way") from None
    return row


async def _settle(connection: Connection, call: Call) -> Output:
    await _let_go(connection, call)
    return {}


async def _release(connection: Connection, call: Call) -> Output:
    row = await _mine(connection, call)
    standing = moved(row["standing"], "forgive") if can(row["standing"], "forgive") else row["standing"]
    blocks = sorted({*row["blocks"]} - {OPERATOR})
    await connection.execute(SQL["set_subscription_standing"], standing, blocks, None)
    return {}


async def _close(connection: Connection, call: Call) -> Output:
    row = await locked(connection)
    if OFFBOARDING not in row["blocks"]:
        raise Unfit("this customer is not leaving")
    await not_cancelled(connection, call)
    standing = moved(row["standing"], "close")
    await connection.execute(SQL["set_subscription_standing"], standing, list(row["blocks"]), None)
    await tell_trial(connection, row)
    return {}


SETTLE = Here(_settle)
"""The change is made: another one may begin."""
RELEASE = Here(_release)
"""Serve the customer again: the operator lifts the block, and does not insist on what is unpaid."""
CLOSE = Here(_close)
"""For good, unless it was cancelled until this very moment."""
