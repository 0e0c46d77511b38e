"""Namespaces: `accounts/{account}/namespaces/{namespace}`. They come and go by operations."""

import json
from typing import Any

import asyncpg

from cell import quotas
from cell.api import operations
from cell.api.context import Context
from cell.api.lists import Listing, orders, page, times
from cell.api.models import Namespace, NamespacePage
from cell.database import SQL
from cell.rules import states
from cell.rules.etags import check_version, etag, expected_version
from cell.rules.labels import merged
from cell.rules.workflows import Workflow
from cell.workflows.provisioning import PROVISION, RELEASE
from runtime.api.endpoint import Call, Reply
from runtime.api.filters import Column
from runtime.api.problem import ApiError, not_found

LISTING = Listing(
    query="list_namespaces",
    count="count_namespaces",
    columns={
        "namespace": Column("n.namespace_id"),
        "display_name": Column("n.display_name"),
        "state": Column("n.state", values=("PROVISIONING", "ACTIVE", "DELETING", "FAILED")),
        "labels": Column("n.labels", "labels"),
        **times("n."),
    },
    orders=orders("namespace", "n.namespace_id", "n.", display_name="n.display_name", state="n.state"),
    tie="namespace",
)


def _namespace(row: asyncpg.Record) -> Namespace:
    return Namespace(
        name=f"accounts/{row['account_id']}/namespaces/{row['namespace_id']}",
        display_name=row["display_name"],
        labels=json.loads(row["labels"]),
        state=row["state"],
        endpoint=row["endpoint"],
        settings=json.loads(row["settings"] or "{}"),
        etag=etag(row["version"]),
        create_time=row["created_at"],
        update_time=row["updated_at"],
    )


def _audited(row: asyncpg.Record, state: str = "") -> dict[str, Any]:
    labels = json.loads(row["labels"])
    return {"display_name": row["display_name"], "labels": labels, "state": state or row["state"]}


def _reply(row: asyncpg.Record) -> Reply:
    return Reply(200, _namespace(row), {"ETag": etag(row["version"])})


def _place(call: Call[Context]) -> tuple[str, str]:
    return call.path["account"], call.path["namespace"]


def _name(call: Call[Context], namespace_id: str = "") -> str:
    return f"accounts/{call.path['account']}/namespaces/{namespace_id or call.path['namespace']}"


async def _read(call: Call[Context], query: str) -> asyncpg.Record:
    account_id, namespace_id = _place(call)
    row = await call.context.connection.fetchrow(SQL[query], account_id, namespace_id)
    if row is None:
        raise not_found("namespace", _name(call))
    return row


async def create(call: Call[Context]) -> Reply:
    """202 with the operation that provisions it; 404 without the account, 409 when the identifier is taken, 403
    when the plan gives no more."""
    account_id, new, connection = call.path["account"], call.body, call.context.connection
    if await connection.fetchval(SQL["hold_account"], account_id) is None:
        raise not_found("account", account_id)
    made = await connection.fetchrow(
        SQL["insert_namespace"],
        *(account_id, new.namespace_id, new.display_name, json.dumps(new.labels), "PROVISIONING"),
    )
    if made is None:
        message = f'namespace "{new.namespace_id}" exists already in this account'
        raise ApiError("ALREADY_EXISTS", message, field="namespace_id")
    await quotas.require(connection, call.context.caller.tenant_id, "namespaces")
    call.context.changed(_name(call, new.namespace_id), None, _audited(made))
    return await _begin(call, PROVISION, account_id, new.namespace_id, "reserve")


async def get(call: Call[Context]) -> Reply:
    """200."""
    return _reply(await _read(call, "get_namespace"))


async def list_(call: Call[Context]) -> Reply:
    """200; 404 without the account."""
    account_id = call.path["account"]
    if await call.context.connection.fetchrow(SQL["get_account"], account_id) is None:
        raise not_found("account", account_id)
    found = await page(call.context, LISTING, call.query, (account_id,))
    return Reply(
        body=NamespacePage(
            namespaces=[_namespace(row) for row in found.rows],
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )
    )


async def _locked(call: Call[Context]) -> asyncpg.Record:
    expected = expected_version(call.request.headers.getall("If-Match", []))
    row = await _read(call, "lock_namespace")
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
    await call.context.connection.execute(SQL["update_namespace"], *_place(call), name, json.dumps(labels))
    changed = await _read(call, "get_namespace")
    call.context.changed(_name(call), _audited(row), _audited(changed))
    return _reply(changed)


async def delete(call: Call[Context]) -> Reply:
    """202 with the operation that releases it; 409 while it is being provisioned or released."""
    row = await _locked(call)
    state = states.after(states.NAMESPACES, row["state"], "release")
    await call.context.connection.execute(SQL["set_namespace_state"], *_place(call), state)
    call.context.changed(_name(call), _audited(row), _audited(row, state))
    return await _begin(call, RELEASE, *_place(call), "mark")


async def _begin(call: Call[Context], workflow: Workflow, account_id: str, namespace_id: str, done: str) -> Reply:
    payload = {
        "account_id": account_id,
        "namespace_id": namespace_id,
        "domain": call.context.tools.namespace_domain,
    }
    return await operations.begin(call, workflow, _name(call, namespace_id), payload, {done: {}})
