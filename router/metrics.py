"""Everything the router counts. By cell and status class; by tenant only for the busiest few."""

from bisect import bisect_left
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from router.rules.busiest import Busiest

REFUSALS = Counter("cellway_router_refusals", "answers of the router's own", ["status", "reason"])
ABORTS = Counter("cellway_router_aborts", "transfers that were cut off", ["cause"])
SECOND_ATTEMPTS = Counter(
    "cellway_router_second_attempts", "requests that were sent once more", ["cell", "reason"]
)
NO_BUDGET = Counter("cellway_router_retries_refused", "second attempts beyond the cell's budget", ["cell"])
CELL_STOPPED = Gauge("cellway_router_cell_stopped", "1 while a cell does not answer", ["cell"])
CELL_BREAKER = Gauge("cellway_router_cell_breaker", "0 closed, 1 half-open, 2 open", ["cell"])
CELL_CONNECTIONS = Gauge("cellway_router_cell_connections", "open connections to a cell", ["cell"])
CELL_CONCURRENCY = Gauge("cellway_router_cell_concurrency", "requests that a cell is given at a time", ["cell"])
CELL_NOT_TRUSTED = Counter(
    "cellway_router_cell_not_trusted", "connections that TLS refused, on either side's behalf", ["cell"]
)
CLIENT_CONNECTIONS = Gauge("cellway_router_client_connections", "open connections of clients")
CLIENTS_REFUSED = Counter("cellway_router_clients_refused", "connections of clients beyond those that are allowed")
PIPES = Gauge("cellway_router_pipes", "open WebSockets")
STREAMS = Gauge("cellway_router_streams", "open server-sent event streams")
HELD = Gauge("cellway_router_held", "requests that wait for their tenant's next assignment")
HOLDS = Counter("cellway_router_holds", "requests that waited so", ["end"])
LAG = Gauge("cellway_router_lag_seconds", "how late the process's own timers are, smoothed")
TABLE_TENANTS = Gauge("cellway_router_table_tenants", "tenants in the table")
CHANGES_BEHIND = Gauge(
    "cellway_router_changes_behind", "Changes that are published and not in the table, by Consul"
)
TABLE_SEQ = Gauge("cellway_router_table_seq", "number of the last change in the table")
TABLE_CONFIRMED = Gauge("cellway_router_table_confirmed_timestamp", "when the directory last confirmed the table")
CHANGES = Counter("cellway_router_changes", "changes applied to the table")
GAPS = Counter("cellway_router_gaps", "gaps in the numbers of changes, each followed by reading a snapshot")
SNAPSHOTS_REFUSED = Counter("cellway_router_snapshots_refused", "snapshots that were not believed", ["reason"])
LOOK_UPS = Counter("cellway_router_look_ups", "look-ups of tenants that the table does not have", ["result"])

BOUNDS_SECONDS: Final = (
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    60.0,
)


class CellCounts:
    """Responses passed on from one cell. A labelled counter would cost more than the rest of a request."""

    __slots__ = ("buckets", "by_class", "cell_id", "seconds")

    def __init__(self, cell_id: str) -> None:
        self.cell_id = cell_id
        self.by_class = [0] * 6
        """By the first digit of the status."""
        self.buckets = [0] * (len(BOUNDS_SECONDS) + 1)
        self.seconds = 0.0

    def answered(self, status: int, seconds: float) -> None:
        """Count a response; `seconds` from the request's head to the cell's head."""
        self.by_class[status // 100] += 1
        self.buckets[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.seconds += seconds

    def streamed(self, status: int) -> None:
        """Count a stream or a pipe, whose beginning says nothing about latency."""
        self.by_class[status // 100] += 1

    @property
    def requests(self) -> int:
        return sum(self.by_class)


_cells: dict[str, CellCounts] = {}


def of_cell(cell_id: str) -> CellCounts:
    """The counts of a cell, the same ones whichever address it has."""
    return _cells.setdefault(cell_id, CellCounts(cell_id))


def cells() -> list[CellCounts]:
    """Of all cells that ever were asked: one that is no more still counts."""
    return list(_cells.values())


def forget_cell(cell_id: str) -> None:
    """A cell that is no more has no present state; what was counted of it stays."""
    for gauge in (CELL_STOPPED, CELL_BREAKER, CELL_CONNECTIONS, CELL_CONCURRENCY):
        with suppress(KeyError):
            gauge.remove(cell_id)


class BusyTenants:
    """Requests of the busiest tenants; all the others are one series."""

    def __init__(self, most: int) -> None:
        self._sketch: Busiest[str] = Busiest(most)
        self.total = 0

    def add(self, tenant: str, requests: int) -> None:
        """Requests of a tenant since it was last told."""
        self._sketch.add(tenant, requests)
        self.total += requests

    def top(self) -> list[tuple[str, int]]:
        """(tenant, requests), the busiest first; never more than there were."""
        return [(name, count - error) for name, count, error in self._sketch.top()]


class _Responses(Collector):
    """What is kept as plain numbers, in the shape of Prometheus."""

    def __init__(self) -> None:
        self.tenants: BusyTenants | None = None

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "cellway_router_requests", "responses passed on from cells", labels=["cell", "status"]
        )
        seconds = HistogramMetricFamily(
            "cellway_router_response_seconds", "from the request's head to the cell's head", labels=["cell"]
        )
        for counts in cells():
            for digit, number in enumerate(counts.by_class):
                if number:
                    requests.add_metric([counts.cell_id, f"{digit}xx"], number)
            seconds.add_metric([counts.cell_id], _cumulated(counts.buckets), counts.seconds)
        yield requests
        yield seconds
        if self.tenants is not None:
            yield self._of_tenants(self.tenants)

    def _of_tenants(self, tenants: BusyTenants) -> Metric:
        family = CounterMetricFamily(
            "cellway_router_tenant_requests", "requests of the busiest tenants", labels=["tenant"]
        )
        named = 0
        for name, count in tenants.top():
            family.add_metric([name], count)
            named += count
        # A tenant cannot be called so: names are of two to forty characters without a slash.
        family.add_metric(["/other"], max(0, tenants.total - named))
        return family


def _cumulated(buckets: list[int]) -> list[tuple[str, float]]:
    total = 0
    found = []
    for bound, number in zip((*map(str, BOUNDS_SECONDS), "+Inf"), buckets, strict=True):
        total += number
        found.append((bound, float(total)))
    return found


RESPONSES = _Responses()
REGISTRY.register(RESPONSES)
