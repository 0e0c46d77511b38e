"""`cellway router top`: all routers as one picture."""

import asyncio
import contextlib
import fcntl
import io
import os
import pty
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from console.top.display import draw, shares
from console.top.document import Document
from console.top.rates import Frame, Seen, frame_of
from directory.memory_feed import MemoryFeed
from directory.redis_registry import RedisRegistry
from directory.registry import Instance
from runtime.embedded.ports import free_port
from tests.console.conftest import Cellway
from tests.placement.fake_cell import FakeCell
from tests.router.test_program import program
from tests.router.upstreams import running, snapshot_of
from tests.waiting import START_SECONDS, eventually


def document(**told: Any) -> Document:
    """A router that has just been asked for the first time."""
    usual = {
        "pid": 7,
        "at_seconds": 100.0,
        "uptime_seconds": 50.0,
        "requests": 0,
        "by_class": {},
        "latency": {"bounds_seconds": (0.001, 0.01), "counts": (0, 0, 0)},
        "refusals": (),
        "aborts": {},
        "lag_seconds": 0.0,
        "draining": False,
        "clients": 1,
        "pipes": 0,
        "streams": 0,
        "cells": {"cells": (), "more": 0},
        "holds": {"holds": (), "more": 0},
        "busiest": {"tenants": (), "more": 0},
        "table": {"seq": 10},
    }
    return Document.model_validate({**usual, **told})


def later(**told: Any) -> Document:
    """The same router, two seconds later."""
    return document(at_seconds=102.0, uptime_seconds=52.0, **told)


def seen(made: Document | None, name: str = "127.0.0.1:8080", trouble: str = "") -> Seen:
    return Seen(name, f"http://{name}/admin", made, trouble)


def of_cell(name: str, state: str = "answers", breaker: str = "closed") -> dict[str, Any]:
    found = {"state": breaker, "requests": 20, "failures": 12, "tenants": 3}
    return {"cell": name, "state": state, "evidence": "silent for 0.61 s", "breaker": found}


def text(frame: Frame, height: int | None = None) -> str:
    written = io.StringIO()
    Console(width=80, height=height or 100, file=written, color_system=None).print(draw(frame, "12:00:00", height))
    return written.getvalue()


def test_rates_are_of_the_routers_own_clock() -> None:
    """Two seconds passed for the router, however long its answers took to arrive."""
    now = later(
        requests=20,
        by_class={"2xx": 20},
        latency={"bounds_seconds": (0.001, 0.01), "counts": (10, 10, 0)},
        refusals=({"status": 429, "reason": "rate", "count": 4}, {"status": 0, "reason": "x", "count": 2}),
        aborts={"cell": 1},
        busiest={"tenants": ({"tenant": "acme", "requests": 12},), "more": 0},
    )
    frame = frame_of([seen(document())], [seen(now)])
    assert frame.total is not None
    assert (frame.total.requests, frame.total.refused, frame.total.cut_off) == (13.0, 3.0, 0.5)
    assert (frame.total.by_class["2xx"], frame.total.by_class["4xx"]) == (10.0, 2.0)
    assert frame.total.p50_seconds == pytest.approx(0.001)
    assert list(frame.tenants) == [("acme", 6.0)]


def test_all_routers_are_added_up() -> None:
    """Requests, tenants, and latencies as one histogram: no average of quantiles."""
    busy = {"tenants": ({"tenant": "acme", "requests": 10},), "more": 0}
    fast = later(requests=90, latency={"bounds_seconds": (0.001, 0.01), "counts": (90, 0, 0)}, busiest=busy)
    slow = later(requests=10, latency={"bounds_seconds": (0.001, 0.01), "counts": (0, 10, 0)}, busiest=busy)
    before = [seen(document(), "a"), seen(document(), "b")]
    frame = frame_of(before, [seen(fast, "a"), seen(slow, "b")])
    assert frame.total is not None
    assert frame.total.requests == 50.0
    assert frame.total.p50_seconds is not None
    assert frame.total.p50_seconds < 0.001
    assert frame.total.p99_seconds is not None
    assert frame.total.p99_seconds > 0.001
    assert list(frame.tenants) == [("acme", 10.0)]


def test_a_router_that_was_started_anew_has_no_rates_yet() -> None:
    """Its counters began again, and a difference would be nonsense."""
    for now in (later(pid=8, requests=5), document(at_seconds=103.0, uptime_seconds=1.0)):
        frame = frame_of([seen(document(requests=1000))], [seen(now)])
        assert (frame.total, frame.routers[0].rates, frame.seconds) == (None, None, None)
        assert "–" in text(frame)


def test_a_tenant_that_was_perhaps_only_not_listed_has_no_rate() -> None:
    """Its whole count since the start must not look like what it asked just now."""
    one = {"tenants": ({"tenant": "acme", "requests": 1000},), "more": 0}
    listed = frame_of([seen(document())], [seen(later(busiest=one))])
    assert list(listed.tenants) == [("acme", 500.0)]
    cut = frame_of([seen(document(busiest={"tenants": (), "more": 3}))], [seen(later(busiest=one))])
    assert list(cut.tenants) == []


def test_a_router_that_does_not_answer_is_shown_as_such() -> None:
    """First, and beside those that do."""
    frame = frame_of([], [seen(document()), seen(None, "10.0.0.9:8080", "nobody answers at http://10.0.0.9:8082")])
    shown = text(frame)
    assert "1 of 2 routers answer" in shown
    assert "router 10.0.0.9:8080" in shown
    assert "away: nobody answers at http://10.0.0.9:8082" in shown
    assert shown.index("10.0.0.9:8080") < shown.index("127.0.0.1:8080")


def test_what_needs_attention_is_one_line_however_many_routers_see_it() -> None:
    """Stopped cells, breakers, held tenants, routers that drain or do not follow the directory."""
    hold = {"tenant": "acme", "waiting": 3, "bytes": 100, "since_seconds": 1.5}
    one = document(
        cells={"cells": (of_cell("cell-2", "stopped"), of_cell("cell-3", breaker="half_open")), "more": 0},
        holds={"holds": (hold,), "more": 0},
        draining=True,
    )
    other = document(
        cells={"cells": (of_cell("cell-3", breaker="open"), of_cell("cell-2")), "more": 4},
        holds={"holds": (hold,), "more": 2},
        table={"seq": 9, "trouble": "it is away"},
    )
    frame = frame_of([], [seen(one, "a"), seen(other, "b")])
    assert [(each.name, each.what) for each in frame.attention] == [
        ("a (7)", "draining: it sends its clients elsewhere"),
        ("b (7)", "does not follow the directory: it is away"),
        ("cell-2", "stopped for 1 of 2 routers: silent for 0.61 s"),
        ("cell-3", "breaker open: 12 of 20 requests failed, of 3+ tenants"),
        ("acme", "held for 1.5 s: 6 waiting, 200 bytes"),
        ("…", "2 more are held"),
    ]
    assert frame.cells == 6


def test_the_picture_fits_the_terminal_and_counts_what_does_not() -> None:
    """80 columns, 24 lines, many of everything."""
    routers = [seen(document(pid=n, table={"seq": 9, "trouble": "x" * 200}), f"127.0.0.1:{n}") for n in range(90)]
    tenants = tuple({"tenant": f"tenant-{n}", "requests": 100 - n} for n in range(50))
    before = [seen(document(), "a")]
    now = [seen(later(busiest={"tenants": tenants, "more": 0}), "a"), *routers]
    lines = text(frame_of(before, now), height=24).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert sum("more" in line for line in lines) == 3


@pytest.mark.parametrize(
    ("lines", "wanted", "expected"),
    [
        (30, (2, 1, 5), (2, 1, 5)),
        (12, (2, 1, 50), (2, 1, 9)),
        (12, (50, 50, 50), (4, 4, 4)),
        (12, (50, 1, 50), (5, 1, 6)),
        (0, (5, 5, 5), (1, 1, 1)),
    ],
)
def test_lines_go_to_those_who_need_them(lines: int, wanted: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """What one section leaves, the others share."""
    assert shares(lines, wanted) == expected


@pytest.fixture
async def router_admin() -> AsyncIterator[str]:
    """The admin port of a router in this process."""
    feed = MemoryFeed()
    await feed.fill(snapshot_of({}, {}))
    async with running(feed) as router:
        yield router.admin.url


async def test_two_real_routers_and_one_that_is_gone(
    operator: Cellway, cell: FakeCell, redis_url: str, project_root: Path
) -> None:
    """Found in the registry; what was asked between the two looks is counted, by whichever process served it."""
    key = (await operator("tenants", "create", "acme", "--json")).json["api_key"]
    port, admin = free_port(), free_port()
    options = {"port": port, "admin_port": admin}
    registry = RedisRegistry(redis_url)
    async with program(redis_url, project_root, "--processes", "2", **options):
        await registry.announce(Instance("router", "router-gone", "127.0.0.1", port, 1))

        async def all_announced() -> bool:
            return len(await registry.instances("router")) == 3

        await eventually(all_announced, seconds=START_SECONDS)
        await registry.close()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/t/acme", trust_env=False) as client:
            looking = asyncio.ensure_future(operator("router", "top", "--json", "--every", "2"))
            while not looking.done():
                await client.get("/v1/nothing", headers={"Authorization": f"Bearer {key}"})
        shown = (await looking).json
        assert sorted(one["trouble"] is None for one in shown["routers"]) == [False, True, True]
        assert shown["total"]["requests"] == pytest.approx(sum(shown["total"]["by_class"].values()))
        assert shown["total"]["refused"] < shown["total"]["requests"]
        assert [one["tenant"] for one in shown["tenants"]] == ["acme"]
        assert len({one["document"]["pid"] for one in shown["routers"] if one["document"]}) == 2
        plain = await operator("router", "top", "--every", "0.2")
        assert (plain.code, "2 of 3 routers answer" in plain.out, "\x1b" in plain.out) == (0, True, False)


async def test_a_single_router_can_be_named(cellway: Cellway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any placement; and nobody there is 3, with the reason beside the picture."""
    monkeypatch.setenv("CELLWAY_ROUTER_ADMIN_URL", "http://127.0.0.1:1")
    ran = await cellway("router", "top", "--once", "--every", "0.2")
    assert (ran.code, "nobody answers at http://127.0.0.1:1" in ran.out) == (3, True)


async def test_without_a_router_there_is_nothing_to_see(cellway: Cellway, operator: Cellway) -> None:
    """3, in one sentence."""
    ran = await operator("router", "top", "--once")
    assert (ran.code, ran.out, "no router has announced itself" in ran.err) == (3, "", True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_on_a_terminal_it_is_live_and_leaves_the_terminal_as_it_was(
    router_admin: str, number: signal.Signals, project_root: Path
) -> None:
    """Drawn again and again on the other screen, until Ctrl-C."""
    environment = {**os.environ, "CELLWAY_ROUTER_ADMIN_URL": router_admin, "TERM": "xterm-256color"}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "console", "router", "top", "--every", "0.2"]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=project_root
    )
    os.close(theirs)
    os.set_blocking(ours, False)
    shown = b""

    def drawn() -> int:
        nonlocal shown
        with contextlib.suppress(BlockingIOError, OSError):
            shown += os.read(ours, 65536)
        return shown.count(b"1 of 1 routers answer")

    try:
        await eventually(lambda: drawn() >= 3, seconds=START_SECONDS)
        process.send_signal(number)
        await eventually(lambda: process.returncode is not None or drawn() < 0)
        drawn()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        os.close(ours)
    assert process.returncode == 0
    assert shown.count(b"\x1b[?1049h") == shown.count(b"\x1b[?1049l") == 1
