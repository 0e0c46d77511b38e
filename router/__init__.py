"""Finds a tenant's cell and passes the request on. Stateless: what it remembers, it can ask for again.

In reading order:

- `rules/`     pure, on bytes: what is refused, whom a request is for, which headers travel, what failures lead to
- `table`      tenant → (cell, epoch) and cell → address, in memory
- `follower`   keeps the table like the directory's cache; `look_ups` asks for one tenant that is not in it
- `disk`       the table on disk, for a restart when every store is down
- `upstream/`  connections to cells, and the watch for cells that fall silent
- `bodies`     a client's body on its way
- `passage`    the client's side of one request: an answer passed on, a refusal, a cut
- `forward`    one request from head to answer
- `server`     the public port: aiohttp reads, our own bytes answer
- `pages`      what an operator can ask; `metrics` what is counted
- `app`        builds all of it; `processes` several of them on one port

I/O happens in `follower` and `look_ups` (the directory's cache), `disk`, `upstream/` and `server`. When the cache
is away the table stays as it is; when a cell is away its tenants are told at once, and nobody else notices.

Not here yet: an Upgrade (WebSocket) is ignored, so the client gets the plain response; trailers and interim
responses are dropped.
"""
