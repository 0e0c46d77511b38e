"""Everything the router counts. By cell and status class, never by tenant: tenants are unbounded."""

import functools

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("cellway_router_requests", "responses passed on from cells", ["cell", "status"])
SECONDS = Histogram(
    "cellway_router_response_seconds",
    "from the request's head to the cell's head",
    ["cell"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
REFUSALS = Counter("cellway_router_refusals", "answers of the router's own", ["status", "reason"])
ABORTS = Counter("cellway_router_aborts", "transfers that were cut off", ["cause"])
SECOND_ATTEMPTS = Counter(
    "cellway_router_second_attempts", "requests that were sent once more", ["cell", "reason"]
)
CELL_STOPPED = Gauge("cellway_router_cell_stopped", "1 while a cell does not answer", ["cell"])
CELL_CONNECTIONS = Gauge("cellway_router_cell_connections", "open connections to a cell", ["cell"])
CLIENT_CONNECTIONS = Gauge("cellway_router_client_connections", "open connections of clients")
CLIENTS_REFUSED = Counter("cellway_router_clients_refused", "connections of clients beyond those that are allowed")
TABLE_TENANTS = Gauge("cellway_router_table_tenants", "tenants in the table")
TABLE_SEQ = Gauge("cellway_router_table_seq", "number of the last change in the table")
TABLE_CONFIRMED = Gauge("cellway_router_table_confirmed_timestamp", "when the directory last confirmed the table")
CHANGES = Counter("cellway_router_changes", "changes applied to the table")
GAPS = Counter("cellway_router_gaps", "gaps in the numbers of changes, each followed by reading a snapshot")
SNAPSHOTS_REFUSED = Counter("cellway_router_snapshots_refused", "snapshots that were not believed", ["reason"])
LOOK_UPS = Counter("cellway_router_look_ups", "look-ups of tenants that the table does not have", ["result"])


@functools.lru_cache(10_000)
def _of(cell: str, status_class: int) -> tuple[Counter, Histogram]:
    # Finding a child by its labels costs more than counting.
    return REQUESTS.labels(cell, f"{status_class}xx"), SECONDS.labels(cell)


def answered(cell: str, status: int, seconds: float) -> None:
    """Count a response that is passed on."""
    requests, duration = _of(cell, status // 100)
    requests.inc()
    duration.observe(seconds)
