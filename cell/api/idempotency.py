"""The first answer, again: an Idempotency-Key's answer is stored in the transaction that does the work.

Same key and body: the first answer. Another body: 422. Still running: 409, to be tried again. A crash rolls the
whole back, so the request is simply done anew. Errors are not stored: they had no effect.
"""

import json
from collections.abc import Awaitable, Callable

from cell.api.context import Context
from cell.database import SQL
from cell.rules.digests import digest
from runtime.api.endpoint import Call, Endpoint, Reply, idempotency_key
from runtime.api.problem import ApiError

KEPT_SECONDS = 24 * 3600.0
REPLAYED = "Idempotency-Replayed"
_STILL_RUNNING = "the same request is being worked on: try again in a moment"
_OTHER_REQUEST = "this Idempotency-Key was used for another request: take a new one for a new intent"


async def once(endpoint: Endpoint[Context], call: Call[Context], work: Callable[[], Awaitable[Reply]]) -> Reply:
    """Do `work`, or answer what it answered before. ApiError 409 and 422."""
    key = idempotency_key(endpoint, call.request)
    if key is None:
        return await work()
    asked = digest(call.path, call.body, call.header("If-Match"))
    connection, tenant = call.context.connection, call.context.caller.tenant_id
    row = await connection.fetchrow(SQL["begin_idempotent"], tenant, endpoint.key(), key)
    if row is None or not row["mine"]:
        raise ApiError("FAILED_PRECONDITION", _STILL_RUNNING, retryable=True, field="Idempotency-Key")
    if row["digest"] is not None:
        if row["digest"] != asked:
            raise ApiError("INVALID_ARGUMENT", _OTHER_REQUEST, status=422, field="Idempotency-Key")
        return Reply(row["status"], row["body"], {**json.loads(row["headers"]), REPLAYED: "true"})
    reply = await work()
    stored = await connection.fetchval(
        SQL["remember_answer"],
        *(
            endpoint.key(),
            key,
            asked,
            reply.status,
            json.dumps(dict(reply.headers)),
            reply.payload(),
            KEPT_SECONDS,
        ),
    )
    if stored is None:
        raise ApiError("FAILED_PRECONDITION", _STILL_RUNNING, retryable=True, field="Idempotency-Key")
    return reply
