"""A frame as people see it: 80 columns are enough, and what does not fit below is counted. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.top.rates import CLASSES, Attention, Frame, Rates, Router

HEAD_LINES = 5
BETWEEN_LINES = 6
"""Empty lines and headings."""
LEAST_ROWS = 1
MOST_SUBJECT_COLUMNS = 40
DASH = "–"
Item = TypeVar("Item")


def draw(frame: Frame, clock: str, height: int | None = None) -> RenderableType:
    """The whole picture. `height`: lines there are; None: as many as are needed."""
    ordered = sorted(frame.routers, key=lambda router: (router.document is not None, router.name, _pid(router)))
    wanted = (len(ordered), max(1, len(frame.attention)), len(frame.tenants))
    rows = wanted if height is None else shares(height - HEAD_LINES - BETWEEN_LINES, wanted)
    return Group(
        _head(frame, clock),
        Text(),
        _routers(ordered, rows[0]),
        Text(),
        _attention(frame.attention, rows[1], folds=height is None),
        Text(),
        _tenants(frame, rows[2]),
    )


def shares(lines: int, wanted: Sequence[int]) -> tuple[int, ...]:
    """How many lines each section gets: what it wants, or its even part of what the others leave."""
    given = [0] * len(wanted)
    left = max(lines, LEAST_ROWS * len(wanted))
    waiting = sorted(range(len(wanted)), key=lambda index: wanted[index])
    for position, index in enumerate(waiting):
        given[index] = min(wanted[index], left // (len(waiting) - position))
        left -= given[index]
    return tuple(given)


# --- sections ---


def _head(frame: Frame, clock: str) -> RenderableType:
    answering = [router.document for router in frame.routers if router.document is not None]
    over = DASH if frame.seconds is None else f"over {frame.seconds:.1f} s"
    said = f"{clock}   {len(answering)} of {len(frame.routers)} routers answer   {over}"
    total = _told(frame.total)
    cells = [one for one in frame.attention if one.kind == "cell"]
    lag = max((one.lag_seconds for one in answering), default=0.0)
    lines = [
        Text.assemble(
            ("cellway router top   ", "bold"), said, *((f"   {frame.remark}", "yellow"),) * bool(frame.remark)
        ),
        _facts(("requests/s", total.requests), *_by_class(frame.total)),
        _facts(
            ("latency p50", total.p50),
            ("p99", total.p99),
            ("refused/s", total.refused),
            ("cut off/s", total.cut_off),
        ),
        _facts(
            ("clients", f"{sum(one.clients for one in answering):,}"),
            ("WebSockets", f"{sum(one.pipes for one in answering):,}"),
            ("streams", f"{sum(one.streams for one in answering):,}"),
            ("worst lag", _seconds(lag)),
        ),
        _facts(("cells", str(frame.cells)), ("of them in trouble", str(len({one.name for one in cells})))),
    ]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*lines)


def _by_class(total: Rates | None) -> list[tuple[str, str]]:
    return [(name, DASH if total is None else _rate(total.by_class[name])) for name in CLASSES[1:]]


def _routers(routers: Sequence[Router], most: int) -> Table:
    grid = _grid(("ROUTER",), ("PID", "UP", "REQ/S", "REFUSED", "P50", "P99", "CLIENTS", "LAG", "TABLE"))
    for router in _first(routers, most):
        grid.add_row(*_row(router))
    _count_rest(grid, len(routers), most)
    return grid


def _row(router: Router) -> tuple[Text | str, ...]:
    document, rates = router.document, _told(router.rates)
    if document is None:
        return (Text(router.name, "bold red"), Text("away", "bold red"))
    return (
        Text(router.name, "yellow" if document.draining else ""),
        str(document.pid),
        _uptime(document.uptime_seconds),
        rates.requests,
        rates.refused,
        rates.p50,
        rates.p99,
        f"{document.clients:,}",
        _seconds(document.lag_seconds),
        str(document.table.seq),
    )


def _attention(found: Sequence[Attention], most: int, *, folds: bool) -> RenderableType:
    if not found:
        return Text("Nothing needs attention.", "green")
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    longest = max(len(_subject(one)) for one in found)
    grid.add_column("NEEDS ATTENTION", no_wrap=True, min_width=min(longest, MOST_SUBJECT_COLUMNS))
    grid.add_column("", overflow="fold" if folds else "ellipsis", no_wrap=not folds)
    for one in _first(found, most):
        style = "bold red" if one.grave else "yellow"
        grid.add_row(Text(_subject(one), style), Text(one.what))
    _count_rest(grid, len(found), most)
    return grid


def _subject(one: Attention) -> str:
    return one.name if one.kind == "cell" else f"{one.kind} {one.name}"


def _tenants(frame: Frame, most: int) -> Table:
    grid = _grid(("BUSIEST TENANTS",), ("REQ/S", "SHARE"))
    total = frame.total.requests if frame.total is not None else 0.0
    for name, rate in _first(frame.tenants, most):
        grid.add_row(Text(name), _rate(rate), f"{min(1.0, rate / total):.0%}" if total else DASH)
    _count_rest(grid, len(frame.tenants), most)
    return grid


def _grid(left: Iterable[str], right: Iterable[str]) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in left:
        grid.add_column(heading, overflow="fold")
    for heading in right:
        grid.add_column(heading, justify="right", no_wrap=True)
    return grid


def _first(rows: Sequence[Item], most: int) -> Sequence[Item]:
    """All of them, or so many that a line is left to say how many are not there."""
    return rows if len(rows) <= most else rows[: most - 1]


def _count_rest(grid: Table, count: int, most: int) -> None:
    if count > most:
        grid.add_row(Text(f"… {count - most + 1} more", "dim"))


def _facts(*facts: tuple[str, str]) -> Text:
    line = Text()
    for name, value in facts:
        line.append(f"{'   ' if line else ''}{name} ", "dim").append(value, "bold")
    return line


# --- numbers ---


class _Told(NamedTuple):
    """Rates as text; dashes where they are unknown."""

    requests: str = DASH
    refused: str = DASH
    cut_off: str = DASH
    p50: str = DASH
    p99: str = DASH


def _told(rates: Rates | None) -> _Told:
    if rates is None:
        return _Told()
    return _Told(
        _rate(rates.requests),
        _rate(rates.refused),
        _rate(rates.cut_off),
        _seconds(rates.p50_seconds),
        _seconds(rates.p99_seconds),
    )


def _pid(router: Router) -> int:
    return router.document.pid if router.document is not None else 0


def _rate(number: float) -> str:
    """`0`, `0.4`, `12.5`, `1,234`."""
    return f"{number:,.0f}" if number >= 100 or number == 0 else f"{number:.1f}"


def _seconds(seconds: float | None) -> str:
    """`0.6ms`, `42ms`, `1.2s`; of what is unknown a dash."""
    if seconds is None:
        return DASH
    if seconds < 0.01:
        return f"{seconds * 1000:.1f}ms"
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.1f}s"


def _uptime(seconds: float) -> str:
    """`59s`, `59m`, `23h`, `2d`."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:.0f}s"
