"""Pure rules of the router, on bytes: no I/O, no clock, no randomness, no logging.

- `head`      a request's or response's head, as received
- `strict`    which requests and responses are refused because two parsers could read them differently
- `identify`  which tenant a request is for, and the target that its cell sees
- `headers`   the headers that are passed on, both ways
- `decide`    what becomes of an attempt that brought no answer to pass on
- `silence`   when a cell counts as stopped
- `adoption`  which snapshots of the directory are not believed
"""
