"""What people see of the parts."""

import io

from rich.console import Console

from console.platform.states import State
from console.platform.supervisor import Status
from console.platform.table import line, table, uptime

READY = Status("cell-1 api", State.READY, 4711, 20001, 2, since=100.0)
DEAD = Status("router", State.BACKING_OFF, None, 8080, 1, since=100.0, remark="ended by SIGKILL")


def test_the_table_shows_state_restarts_and_tenants() -> None:
    """A row a part; why it is away stands in its row."""
    out = Console(file=io.StringIO(), width=150)
    with out.capture() as captured:
        out.print(table([READY, DEAD], {"cell-1": 17}, now=165.0))
    rows = [row.split() for row in captured.get().splitlines()]
    assert rows[1] == ["cell-1", "api", "ready", "4711", "20001", "2", "1m05s", "17"]
    assert rows[2] == ["router", "backing", "off", "8080", "1", "ended", "by", "SIGKILL"]


def test_a_change_is_one_line() -> None:
    """Where there is no terminal."""
    assert line(READY).endswith("cell-1 api ready (pid 4711, port 20001)")
    assert line(DEAD).endswith("router backing off: ended by SIGKILL")


def test_uptime_is_as_precise_as_people_need() -> None:
    """Two units at most."""
    assert [uptime(s) for s in (59, 60, 3600, 187_200)] == ["59s", "1m00s", "1h00m", "2d04h"]
