"""What one router says of itself, read from its `/top`. What a newer router adds is passed over."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Latency(_Part):
    """A histogram; `counts` has one more than `bounds_seconds`, for what lies beyond."""

    bounds_seconds: tuple[float, ...]
    counts: tuple[int, ...]


class Refusal(_Part):
    """Answers of the router's own."""

    status: int
    reason: str
    count: int


class Breaker(_Part):
    """What it opened on, or what was seen lately."""

    state: str
    requests: int
    failures: int
    tenants: int


class Cell(_Part):
    """One cell as the router sees it; it has no breaker before it was asked."""

    cell: str
    state: str
    evidence: str
    breaker: Breaker | None = None


class Cells(_Part):
    """Those in trouble come first; `more` are not listed."""

    cells: tuple[Cell, ...]
    more: int


class Hold(_Part):
    """A tenant whose requests wait."""

    tenant: str
    waiting: int
    bytes: int
    since_seconds: float


class Holds(_Part):
    """The longest held first; `more` are not listed."""

    holds: tuple[Hold, ...]
    more: int


class Tenant(_Part):
    """Requests since the router counts them."""

    tenant: str
    requests: int


class Busiest(_Part):
    """The busiest first; `more` are not listed."""

    tenants: tuple[Tenant, ...]
    more: int


class Table(_Part):
    """How far the router follows the directory; `trouble` says why it does not."""

    seq: int
    trouble: str | None = None


class Document(_Part):
    """All of it. Counters are from the process's start, `at_seconds` is of its own monotonic clock."""

    pid: int
    at_seconds: float
    uptime_seconds: float
    requests: int
    by_class: Mapping[str, int]
    latency: Latency
    refusals: tuple[Refusal, ...]
    aborts: Mapping[str, int]
    lag_seconds: float
    draining: bool
    clients: int
    pipes: int
    streams: int
    cells: Cells
    holds: Holds
    busiest: Busiest
    table: Table
