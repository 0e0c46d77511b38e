"""The cell's program with one page more: `/v1/events`, a stream of server-sent events.

The service that comes with the platform has no such stream, those that people bring have. What a scenario shows
of streams is the router's way with them: they come at once, outlast faults elsewhere, and end between two events.
The page looks at no key, so it is for load tests alone.
"""

import asyncio
import sys
import time

from aiohttp import web

from cell.app.api import assemble_api
from cell.settings import CellSettings
from runtime.lifecycle import Lifecycle
from runtime.program import main

PATH = "/v1/events"
EVERY_SECONDS = 0.5
MOST_EVENTS = 120


async def events(request: web.Request) -> web.StreamResponse:
    """Two a second, for a minute or until the client has enough."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    for number in range(MOST_EVENTS):
        await response.write(b'id: %d\ndata: {"sent_ns": %d}\n\n' % (number, time.time_ns()))
        await asyncio.sleep(EVERY_SECONDS)
    return response


async def build(settings: CellSettings) -> Lifecycle:
    """The tenants' API as ever, and the page."""
    api = await assemble_api(settings)
    runner = api.site._runner
    if not isinstance(runner, web.AppRunner):
        raise TypeError("the cell is not served by an application any more")
    runner.app.router.add_get(PATH, events)
    return api.lifecycle


if __name__ == "__main__":
    sys.exit(main("cell", CellSettings, build))
