"""What people see of the parts: a live table on a terminal, a line for each change elsewhere."""

import time
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from console.platform.states import State
from console.platform.supervisor import Status

STYLES: Mapping[State, str] = {
    State.WAITING: "dim",
    State.STARTING: "yellow",
    State.READY: "green",
    State.BACKING_OFF: "red",
    State.FAILED: "bold red",
    State.STOPPING: "yellow",
    State.STOPPED: "dim",
}

_REMARK_CHARACTERS = 100


def table(statuses: Sequence[Status], tenants: Mapping[str, int], now: float) -> Table:
    """The parts at the monotonic time `now`; a cell's tenants stand beside its API."""
    grid = Table(box=None, pad_edge=False, header_style="bold", show_header=bool(statuses))
    for heading, justify in (("PART", "left"), ("STATE", "left"), ("PID", "right"), ("PORT", "right")):
        grid.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for heading in ("RESTARTS", "UP", "TENANTS"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("REMARK", overflow="ellipsis", no_wrap=True, ratio=1)
    for status in statuses:
        grid.add_row(*_row(status, tenants, now))
    return grid


def line(status: Status) -> str:
    """One change, for a log: `12:00:01 cell-1 api ready (pid 4711, port 20001)`."""
    where = f" (pid {status.pid}, port {status.port})" if status.state is State.READY else ""
    why = f": {_short(status.remark)}" if status.remark and status.state is not State.READY else ""
    return f"{time.strftime('%H:%M:%S')} {status.name} {status.state}{where}{why}"


def uptime(seconds: float) -> str:
    """`59s`, `1m00s`, `1h00m`, `2d03h`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02}h"


def _row(status: Status, tenants: Mapping[str, int], now: float) -> tuple[Text | str, ...]:
    cell_id, _, kind = status.name.partition(" ")
    return (
        status.name,
        Text(status.state, STYLES[status.state]),
        str(status.pid or ""),
        str(status.port or ""),
        Text(str(status.restarts), "red" if status.restarts else "dim"),
        uptime(now - status.since) if status.state is State.READY else "",
        str(tenants.get(cell_id, "")) if kind == "api" else "",
        Text(_short(status.remark) if status.state is not State.READY else ""),
    )


def _short(remark: str) -> str:
    return remark if len(remark) <= _REMARK_CHARACTERS else remark[: _REMARK_CHARACTERS - 1] + "…"
