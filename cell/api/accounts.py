"""Accounts: `accounts/{account}`."""

import json
from typing import Any

import asyncpg

from cell.api.context import Context
from cell.api.lists import Listing, orders, page, times
from cell.api.models import Account, AccountPage
from cell.database import SQL
from cell.rules.etags import check_version, etag, expected_version
from cell.rules.labels import merged
from runtime.api.endpoint import Call, Reply
from runtime.api.filters import Column
from runtime.api.problem import ApiError, not_found

LISTING = Listing(
    query="list_accounts",
    count="count_accounts",
    columns={
        "account": Column("account_id"),
        "display_name": Column("display_name"),
        "labels": Column("labels", "labels"),
        **times(),
    },
    orders=orders("account", "account_id", display_name="display_name"),
    tie="account",
)


def _account(row: asyncpg.Record) -> Account:
    return Account(
        name=f"accounts/{row['account_id']}",
        display_name=row["display_name"],
        labels=json.loads(row["labels"]),
        etag=etag(row["version"]),
        create_time=row["created_at"],
        update_time=row["updated_at"],
    )


def _audited(row: asyncpg.Record) -> dict[str, Any]:
    return {"display_name": row["display_name"], "labels": json.loads(row["labels"])}


def _reply(row: asyncpg.Record, status: int = 200, **headers: str) -> Reply:
    return Reply(status, _account(row), {"ETag": etag(row["version"]), **headers})


def _found(row: asyncpg.Record | None, account_id: str) -> asyncpg.Record:
    if row is None:
        raise not_found("account", account_id)
    return row


async def create(call: Call[Context]) -> Reply:
    """201; 409 when the identifier is taken."""
    new = call.body
    row = await call.context.connection.fetchrow(
        SQL["insert_account"], new.account_id, new.display_name, json.dumps(new.labels)
    )
    if row is None:
        message = f'account "{new.account_id}" exists already'
        raise ApiError("ALREADY_EXISTS", message, field="account_id")
    call.context.changed(f"accounts/{new.account_id}", None, _audited(row))
    return _reply(row, 201, Location=f"accounts/{new.account_id}")


async def get(call: Call[Context]) -> Reply:
    """200."""
    account_id = call.path["account"]
    return _reply(_found(await call.context.connection.fetchrow(SQL["get_account"], account_id), account_id))


async def list_(call: Call[Context]) -> Reply:
    """200, possibly empty."""
    found = await page(call.context, LISTING, call.query)
    return Reply(
        body=AccountPage(
            accounts=[_account(row) for row in found.rows],
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )
    )


async def _locked(call: Call[Context]) -> asyncpg.Record:
    expected = expected_version(call.request.headers.getall("If-Match", []))
    account_id = call.path["account"]
    row = _found(await call.context.connection.fetchrow(SQL["lock_account"], account_id), account_id)
    check_version(expected, row["version"])
    return row


async def update(call: Call[Context]) -> Reply:
    """200; 412 when it has changed since."""
    row = await _locked(call)
    given = call.body.model_fields_set
    name = call.body.display_name if "display_name" in given else row["display_name"]
    labels = json.loads(row["labels"])
    if "labels" in given:
        labels = merged(labels, call.body.labels)
    changed = _found(
        await call.context.connection.fetchrow(SQL["update_account"], row["account_id"], name, json.dumps(labels)),
        row["account_id"],
    )
    call.context.changed(f"accounts/{row['account_id']}", _audited(row), _audited(changed))
    return _reply(changed)


async def delete(call: Call[Context]) -> Reply:
    """204; 409 while namespaces are in it."""
    row = await _locked(call)
    try:
        await call.context.connection.execute(SQL["delete_account"], row["account_id"])
    except asyncpg.ForeignKeyViolationError:
        message = "this account has namespaces: delete them first"
        raise ApiError("FAILED_PRECONDITION", message) from None
    call.context.changed(f"accounts/{row['account_id']}", _audited(row), None)
    return Reply(204)
