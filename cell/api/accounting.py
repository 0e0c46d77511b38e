"""Every change through the API is written to the audit log and counted, here and nowhere else.

A handler that changes something says what, by `Context.changed`. One that does not say so fails, so that no
endpoint can forget it. A replay changes nothing and does not come here.
"""

from cell import audit, usage
from cell.api.context import Context
from cell.rules.headers import request_id
from cell.rules.meters import API_MUTATIONS
from runtime.api.endpoint import Call, Endpoint, Reply
from runtime.api.problem import REQUEST_ID


async def accounted(endpoint: Endpoint[Context], call: Call[Context]) -> Reply:
    """Do what the endpoint does, and account for it in the same transaction."""
    reply = await endpoint.handler(call)
    if endpoint.method == "GET":
        return reply
    context = call.context
    if context.change is None:
        raise RuntimeError(f"{endpoint.operation} does not say what it changed")
    actor = audit.key_actor(context.caller.key_id)
    asked = request_id(call.request.headers.getall(REQUEST_ID, []))
    entry_id = await audit.record(context.connection, actor, endpoint.operation, context.change, asked)
    await usage.record(context.connection, API_MUTATIONS, entry_id)
    return reply
