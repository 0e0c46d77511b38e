"""The proxy that one would write first: an aiohttp server, a `ClientSession`, a dict. Here to be compared with.

    python -m loadtests.router.plain_proxy <port> <file of "tenant origin" lines>

It has no limits, checks nothing, and is wrong in many small ways; what it costs is the point.
"""

import asyncio
import sys
from pathlib import Path

import aiohttp
import uvloop
from aiohttp import web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade"}
SMALL_BYTES = 65_536
"""What is not larger is answered in one piece, which is the cheaper way."""


async def serve(port: int, origins: dict[str, str]) -> None:
    """Forward everything, for ever."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:

        async def forward(request: web.Request) -> web.StreamResponse:
            origin = origins.get(request.headers.get("X-Tenant", ""))
            if origin is None:
                return web.Response(status=404)
            async with session.request(
                request.method,
                origin + request.path_qs,
                headers=[item for item in request.headers.items() if item[0].lower() not in HOP_BY_HOP],
                data=request.content if request.body_exists else None,
                allow_redirects=False,
            ) as answer:
                return await _passed_on(request, answer)

        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{path:.*}", forward)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        await asyncio.Event().wait()


async def _passed_on(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = [item for item in answer.headers.items() if item[0].lower() not in HOP_BY_HOP]
    if answer.content_length is not None and answer.content_length <= SMALL_BYTES:
        return web.Response(status=answer.status, headers=dict(headers), body=await answer.read())
    response = web.StreamResponse(status=answer.status, headers=dict(headers))
    await response.prepare(request)
    async for piece in answer.content.iter_any():
        await response.write(piece)
    await response.write_eof()
    return response


def main() -> None:
    """Serve until a signal."""
    lines = Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
    origins = dict(line.split(" ", 1) for line in lines)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), origins))


if __name__ == "__main__":
    main()
