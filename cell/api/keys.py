"""API keys of a tenant: `keys/{key}`. A revoked key fails at once."""

import dataclasses
import json
import secrets

import asyncpg

from cell.api.context import Context
from cell.api.lists import Listing, orders, page, times
from cell.api.models import Key, KeyPage
from cell.audit import described_key
from cell.database import SQL
from cell.rules.keys import api_key_of, hash_of, key_id_of
from runtime.api.endpoint import Call, Reply
from runtime.api.filters import Column
from runtime.api.problem import not_found

LISTING = Listing(
    query="list_keys",
    count="count_keys",
    columns={
        "key": Column("key_id"),
        "display_name": Column("display_name"),
        "state": Column("(CASE WHEN revoked_at IS NULL THEN 'ACTIVE' ELSE 'REVOKED' END)",
                        values=("ACTIVE", "REVOKED")),
        **times(),
    },
    orders=orders("key", "key_id", display_name="display_name"),
    tie="key",
)  # fmt: skip


def _key(row: asyncpg.Record) -> Key:
    return Key(
        name=f"keys/{row['key_id']}",
        display_name=row["display_name"],
        state="ACTIVE" if row["revoked_at"] is None else "REVOKED",
        create_time=row["created_at"],
        revoke_time=row["revoked_at"],
    )


def _found(row: asyncpg.Record | None, key_id: str) -> asyncpg.Record:
    if row is None:
        raise not_found("key", key_id)
    return row


async def create(call: Call[Context]) -> Reply:
    """201. The answer has no secret yet, so that none is stored with the Idempotency-Key: see `revealed`."""
    tenant_id, pepper = call.context.caller.tenant_id, call.context.tools.pepper
    key_id = key_id_of(pepper, tenant_id, secrets.token_hex(16))
    secret_hash = hash_of(pepper, api_key_of(pepper, tenant_id, key_id))
    row = _found(
        await call.context.connection.fetchrow(SQL["insert_key"], key_id, call.body.display_name, secret_hash),
        key_id,
    )
    call.context.changed(f"keys/{key_id}", None, described_key(row))
    return Reply(201, _key(row), {"Location": f"keys/{key_id}"})


def revealed(context: Context, reply: Reply) -> Reply:
    """The answer to `create`, first or replayed, with the secret derived once more."""
    described = json.loads(reply.payload() or b"{}")
    key_id = described["name"].removeprefix("keys/")
    secret = api_key_of(context.tools.pepper, context.caller.tenant_id, key_id)
    return dataclasses.replace(reply, body=Key.model_validate({**described, "api_key": secret}))


async def get(call: Call[Context]) -> Reply:
    """200."""
    key_id = call.path["key"]
    return Reply(body=_key(_found(await call.context.connection.fetchrow(SQL["get_key"], key_id), key_id)))


async def list_(call: Call[Context]) -> Reply:
    """200."""
    found = await page(call.context, LISTING, call.query)
    return Reply(
        body=KeyPage(
            keys=[_key(row) for row in found.rows],
            next_page_token=found.next_page_token,
            total_size=found.total_size,
        )
    )


async def revoke(call: Call[Context]) -> Reply:
    """200; revoking again changes nothing."""
    key_id, connection = call.path["key"], call.context.connection
    before = _found(await connection.fetchrow(SQL["lock_key"], key_id), key_id)
    after = await connection.fetchrow(SQL["revoke_key"], key_id) or before
    call.context.changed(f"keys/{key_id}", described_key(before), described_key(after))
    return Reply(body=_key(after))
