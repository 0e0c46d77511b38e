"""What a namespace holds: `accounts/{account}/namespaces/{namespace}/storage`, one for each namespace (AIP-156).

Whoever stores says so here first, with what it will be in all: what is beyond the tenant's quota is refused, so it
need not be stored. Less is always taken.
"""

import asyncpg

from cell import quotas, usage
from cell.api.context import Context
from cell.api.models import Storage
from cell.database import SQL
from cell.rules.etags import check_version, etag, expected_version
from runtime.api.endpoint import Call, Reply
from runtime.api.problem import ApiError, not_found


def _name(call: Call[Context]) -> str:
    return f"accounts/{call.path['account']}/namespaces/{call.path['namespace']}"


def _reply(call: Call[Context], row: asyncpg.Record) -> Reply:
    version = etag(row["version"])
    body = Storage(name=f"{_name(call)}/storage", bytes=row["bytes"], etag=version, update_time=row["updated_at"])
    return Reply(200, body, {"ETag": version})


async def _read(call: Call[Context], query: str) -> asyncpg.Record:
    row = await call.context.connection.fetchrow(SQL[query], call.path["account"], call.path["namespace"])
    if row is None:
        raise not_found("namespace", _name(call))
    return row


async def get(call: Call[Context]) -> Reply:
    """200; nothing, until something was said."""
    return _reply(call, await _read(call, "get_storage"))


async def update(call: Call[Context]) -> Reply:
    """200; 403 when the plan gives no more, 409 unless the namespace is there, 412 when it has changed since."""
    expected = expected_version(call.request.headers.getall("If-Match", []))
    place, connection = (call.path["account"], call.path["namespace"]), call.context.connection
    before = await _read(call, "lock_storage")
    check_version(expected, before["version"])
    if before["state"] != "ACTIVE":
        raise ApiError("FAILED_PRECONDITION", f"the namespace is {before['state']}, so nothing is stored in it")
    await usage.count_namespace(connection, *place)  # by what was stored until now
    await connection.execute(SQL["set_storage"], *place, call.body.bytes)
    added = call.body.bytes - before["bytes"]
    if added > 0:
        await quotas.require(connection, call.context.caller.tenant_id, "storage_bytes", added)
    call.context.changed(f"{_name(call)}/storage", {"bytes": before["bytes"]}, {"bytes": call.body.bytes})
    return _reply(call, await _read(call, "get_storage"))
