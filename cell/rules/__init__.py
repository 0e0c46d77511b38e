"""What the cell decides, as pure code: no I/O, no clock, no randomness, no logging.

- `states`    the lives of namespaces, operations and jobs, as tables
- `keys`      API keys: how they are derived, hashed and read
- `headers`   what the router says about a request
- `etags`     versions as ETags, and what If-Match asks for
- `digests`   when two requests with one Idempotency-Key are the same request
- `labels`    merging labels by RFC 7396
- `meters`    what is counted of a tenant's use, and by which times it is asked for
- `quotas`    who is over a quota, and what they are told
- `attempts`  when a failed job is tried again, and when it is given up
"""
