"""Pure rules of the router, on bytes: no I/O, no clock, no randomness, no logging.

What comes
- `head`            the grammar of heads, and which of their lines mean something here
- `strict`          which requests and responses are refused because two parsers could read them differently
- `identify`        which tenant a request is for, and the target that its cell sees
- `traces`          which trace a request belongs to
- `headers`         the headers that are passed on, both ways, and heads as bytes
- `memo`            what was found out about bytes that are likely to come again
- `requests`        a request's head, and what is found out once about its lines
- `responses`       a response's head, likewise
- `chunks`          chunked bodies
- `frames`          where a WebSocket's frames end
- `proxy_protocol`  the header of a load balancer that stands before the router

What becomes of it
- `decide`          what becomes of an attempt that brought no answer to pass on
- `silence`         when a cell counts as stopped
- `breaker`         when a cell that fails for many of its tenants is asked no more
- `budget`          how many requests may be sent a second time
- `concurrency`     how many requests a cell is given at a time
- `rates`           how many requests a second a tenant may make, and how clients are told
- `overload`        which requests are refused when this process cannot keep up
- `busiest`         the tenants that ask most, without counting all of them
- `adoption`        which snapshots of the directory are not believed
"""
