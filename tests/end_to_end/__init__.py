"""The whole platform, every process real: what a user is promised, and what faults must not break.

- `conftest`     one platform a session, and one that a test may break
- `actors`       the operator and the tenant's developer, over HTTP
- `writers`      clients that write without pause and remember what was acknowledged
"""
