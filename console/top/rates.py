"""Two looks at the routers become one frame. Pure.

Rates are of each router's own clock between its two documents. A router that was not there before, or was started
anew meanwhile, has no rates in this frame.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from console.top.document import Cell, Document
from runtime.quantiles import quantile

MOST_TENANTS = 100
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")


@dataclass(frozen=True, slots=True)
class Seen:
    """One router, as it was looked at. Without a document, `trouble` says why."""

    name: str
    admin_url: str
    document: Document | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Rates:
    """By the second; latencies in seconds, None when nothing was timed. Refusals are requests, too."""

    requests: float
    by_class: Mapping[str, float]
    refused: float
    cut_off: float
    p50_seconds: float | None
    p99_seconds: float | None


@dataclass(frozen=True, slots=True)
class Router:
    """One row. `document` is None when it is away."""

    name: str
    document: Document | None
    rates: Rates | None
    trouble: str


@dataclass(frozen=True, slots=True)
class Attention:
    """Something that an operator should look at."""

    kind: str  # router, cell or tenant
    name: str
    what: str
    grave: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """What is shown at once."""

    routers: Sequence[Router]
    total: Rates | None
    seconds: float | None
    """How long the rates look back, at the longest."""
    attention: Sequence[Attention]
    tenants: Sequence[tuple[str, float]]
    """(tenant, requests a second), the busiest first."""
    cells: int
    """As many as the router knows that knows most."""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class _Interval:
    """What happened between two documents of one process."""

    seconds: float
    by_class: Mapping[str, int]
    refused: int
    cut_off: int
    answered: int
    bounds: tuple[float, ...]
    counts: Sequence[int]
    tenants: Mapping[str, int] = field(default_factory=dict)


def frame_of(before: Iterable[Seen], now: Sequence[Seen], remark: str = "") -> Frame:
    """What to show after the look `now`, when the last one was `before`."""
    last = {seen.admin_url: seen.document for seen in before}
    intervals = {seen.admin_url: _interval(last.get(seen.admin_url), seen.document) for seen in now}
    known = [interval for interval in intervals.values() if interval is not None]
    documents = [(seen.name, seen.document) for seen in now if seen.document is not None]
    return Frame(
        routers=[_router(seen, intervals[seen.admin_url]) for seen in now],
        total=_rates(known) if known else None,
        seconds=max((interval.seconds for interval in known), default=None),
        attention=[*_of_routers(now), *_of_cells(documents), *_of_holds(documents)],
        tenants=_busiest(known),
        cells=max((len(one.cells.cells) + one.cells.more for _, one in documents), default=0),
        remark=remark,
    )


def _router(seen: Seen, interval: _Interval | None) -> Router:
    return Router(seen.name, seen.document, None if interval is None else _rates([interval]), seen.trouble)


# --- rates ---


def _interval(before: Document | None, now: Document | None) -> _Interval | None:
    if before is None or now is None or before.pid != now.pid or now.at_seconds <= before.at_seconds:
        return None
    if now.uptime_seconds < before.uptime_seconds or before.latency.bounds_seconds != now.latency.bounds_seconds:
        return None
    return _Interval(
        seconds=now.at_seconds - before.at_seconds,
        by_class=_classes(now) - _classes(before),
        refused=_refused(now) - _refused(before),
        cut_off=sum(now.aborts.values()) - sum(before.aborts.values()),
        answered=now.requests - before.requests,
        bounds=now.latency.bounds_seconds,
        counts=[late - early for late, early in zip(now.latency.counts, before.latency.counts, strict=True)],
        tenants=_asked(before, now),
    )


def _classes(document: Document) -> Counter[str]:
    """Answers by class, the router's own included; without a status there was no answer."""
    found = Counter(document.by_class)
    for refusal in document.refusals:
        if refusal.status:
            found[f"{refusal.status // 100}xx"] += refusal.count
    return found


def _refused(document: Document) -> int:
    return sum(refusal.count for refusal in document.refusals)


def _asked(before: Document, now: Document) -> dict[str, int]:
    """Requests by tenant. One that was perhaps only not listed before says nothing of this interval."""
    earlier = {tenant.tenant: tenant.requests for tenant in before.busiest.tenants}
    return {
        tenant.tenant: max(0, tenant.requests - earlier.get(tenant.tenant, 0))
        for tenant in now.busiest.tenants
        if tenant.tenant in earlier or not before.busiest.more
    }


def _rates(intervals: Sequence[_Interval]) -> Rates:
    """Of all of them together. Only histograms of one shape can be added."""
    bounds = intervals[0].bounds
    alike = [interval.counts for interval in intervals if interval.bounds == bounds]
    counts = [sum(column) for column in zip(*alike, strict=True)]
    return Rates(
        requests=sum((each.answered + each.refused) / each.seconds for each in intervals),
        by_class={name: sum(each.by_class.get(name, 0) / each.seconds for each in intervals) for name in CLASSES},
        refused=sum(each.refused / each.seconds for each in intervals),
        cut_off=sum(each.cut_off / each.seconds for each in intervals),
        p50_seconds=quantile(bounds, counts, 0.5),
        p99_seconds=quantile(bounds, counts, 0.99),
    )


def _busiest(intervals: Iterable[_Interval]) -> list[tuple[str, float]]:
    rates: dict[str, float] = {}
    for interval in intervals:
        for name, requests in interval.tenants.items():
            if requests:
                rates[name] = rates.get(name, 0.0) + requests / interval.seconds
    return sorted(rates.items(), key=lambda row: (-row[1], row[0]))[:MOST_TENANTS]


# --- what needs attention ---


def _of_routers(seen: Iterable[Seen]) -> Iterator[Attention]:
    for each in seen:
        document = each.document
        if document is None:
            yield Attention("router", each.name, f"away: {each.trouble}", grave=True)
            continue
        name = f"{each.name} ({document.pid})"
        if document.draining:
            yield Attention("router", name, "draining: it sends its clients elsewhere", grave=False)
        if document.table.trouble is not None:
            yield Attention(
                "router", name, f"does not follow the directory: {document.table.trouble}", grave=False
            )


def _of_cells(documents: Sequence[tuple[str, Document]]) -> list[Attention]:
    """A line for each cell and trouble, however many routers see it; stopped ones first."""
    found: dict[tuple[str, bool], list[Cell]] = {}
    for _, document in documents:
        for cell in document.cells.cells:
            if cell.state == "stopped":
                found.setdefault((cell.cell, True), []).append(cell)
            elif cell.breaker is not None and cell.breaker.state != "closed":
                found.setdefault((cell.cell, False), []).append(cell)
    ordered = sorted(found.items(), key=lambda item: (not item[0][1], item[0][0]))
    return [_of_cell(name, cells, len(documents), stopped=stopped) for (name, stopped), cells in ordered]


def _of_cell(name: str, cells: Sequence[Cell], routers: int, *, stopped: bool) -> Attention:
    seen_by = "" if routers == 1 else f" for {len(cells)} of {routers} routers" if len(cells) < routers else ""
    if stopped:
        return Attention("cell", name, f"stopped{seen_by}: {cells[0].evidence}", grave=True)
    breakers = [cell.breaker for cell in cells if cell.breaker is not None]
    state = "open" if any(breaker.state == "open" for breaker in breakers) else "half-open"
    worst = max(breakers, key=lambda breaker: breaker.failures)
    evidence = f"{worst.failures} of {worst.requests} requests failed, of {worst.tenants}+ tenants"
    return Attention("cell", name, f"breaker {state}{seen_by}: {evidence}", grave=True)


def _of_holds(documents: Sequence[tuple[str, Document]]) -> list[Attention]:
    found: dict[str, list[tuple[float, int, int]]] = {}
    for _, document in documents:
        for hold in document.holds.holds:
            found.setdefault(hold.tenant, []).append((hold.since_seconds, hold.waiting, hold.bytes))
    rows = [
        (max(row[0] for row in rows), name, sum(row[1] for row in rows), sum(row[2] for row in rows))
        for name, rows in found.items()
    ]
    shown = [
        Attention("tenant", name, f"held for {since:.1f} s: {waiting} waiting, {size:,} bytes", grave=False)
        for since, name, waiting, size in sorted(rows, reverse=True)
    ]
    more = sum(document.holds.more for _, document in documents)
    return [*shown, Attention("tenant", "…", f"{more} more are held", grave=False)] if more else shown
