"""Finds a tenant's cell and passes the request on. Stateless: what it remembers, it can ask for again.

In reading order:

- `rules/`     pure, on bytes: what is refused, whom a request is for, which headers travel, what failures lead to
- `table`      tenant → (cell, epoch, limit) and cell → address, in memory; a million tenants at about 55 bytes
- `follower`   keeps the table like the directory's cache; `look_ups` asks for one tenant that is not in it
- `behind`     whether what is followed is itself behind, by a second witness: the version pointer
- `disk`       the table on disk, for a restart when every store is down
- `upstream/`  connections to cells, how cells bear the load, and the watch for those that fall silent
- `listener`   the public port, with TLS (`tls`) and the PROXY protocol where they are wanted
- `client`     one client's connection: heads in, bytes out, deadlines
- `passage`    one request on its way, from head to answer; `bodies` is what it carries, `problems` a refusal
- `waits`      what a passage may have to wait for; `holds` where it waits while its tenant moves
- `pipe`       a WebSocket after its handshake
- `tenants`    those that are being served, ready to be sent; `lane` is what all requests of a process share
- `pages`      what an operator can ask; `report` what they show; `metrics` what is counted
- `export/`    the same table for an HAProxy that forwards instead
- `app`        builds all of it; `processes` several of them on one port

I/O happens in `follower` and `look_ups` (the directory's cache), `disk`, `upstream/`, `listener` and `client`.
When the cache is away the table stays as it is; when a cell is away its tenants are told at once, and nobody else
notices.
"""

from runtime import compiled

COMPILED = (
    *("bodies", "client", "holds", "lane", "metrics", "outbox", "passage", "pipe", "problems", "tenants", "waits"),
    *("upstream/connection", "upstream/pool", "upstream/remains"),
    *("rules/breaker", "rules/budget", "rules/chunks", "rules/concurrency", "rules/decide", "rules/frames"),
    *("rules/head", "rules/headers", "rules/identify", "rules/memo", "rules/rates"),
    *("rules/requests", "rules/responses", "rules/strict", "rules/traces"),
)
"""What every request goes through."""

IS_COMPILED = compiled.prefer(__name__)
"""Whether it runs as C; else its sources are interpreted, which does the same at a higher cost."""
