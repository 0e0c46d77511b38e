"""Looks and draws: once, or until Ctrl-C."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any

from rich.console import Console
from rich.live import Live

from console import output
from console.errors import NotRunning
from console.top.display import draw
from console.top.fleet import Fleet
from console.top.rates import Frame, frame_of
from console.whereabouts import Whereabouts


def watch(where: Whereabouts, every_seconds: float, *, once: bool, json: bool) -> None:
    """Show the routers. NotRunning when there are none, or (with one frame only) none of them answers."""
    out = Console(highlight=False)
    with Fleet(where) as fleet:
        if once or json or not sys.stdout.isatty() or out.is_dumb_terminal:
            _show(_one_frame(fleet, every_seconds), json=json)
        else:
            _live(fleet, every_seconds, out)


def _one_frame(fleet: Fleet, every_seconds: float) -> Frame:
    before = fleet.look()
    time.sleep(every_seconds)
    return frame_of(before, fleet.look(), fleet.trouble)


def _show(frame: Frame, *, json: bool) -> None:
    if json:
        output.as_json(_plain(frame))
    else:
        output.draw(draw(frame, _clock()))
    if all(router.document is None for router in frame.routers):
        raise NotRunning("none of the routers answers")


def _plain(frame: Frame) -> dict[str, Any]:
    """For scripts: what the routers said is shown as it came."""
    return {
        "seconds": frame.seconds,
        "total": None if frame.total is None else asdict(frame.total),
        "routers": [
            {
                "name": router.name,
                "trouble": router.trouble or None,
                "rates": None if router.rates is None else asdict(router.rates),
                "document": None if router.document is None else router.document.model_dump(mode="json"),
            }
            for router in frame.routers
        ],
        "attention": [asdict(one) for one in frame.attention],
        "tenants": [{"tenant": name, "requests_per_second": rate} for name, rate in frame.tenants],
        "cells": frame.cells,
        "remark": frame.remark or None,
    }


def _live(fleet: Fleet, every_seconds: float, out: Console) -> None:
    before = fleet.look()
    frame = frame_of((), before, fleet.trouble)
    with _ended_by_signals(), Live(console=out, screen=True, auto_refresh=False) as live:
        while True:
            began = time.monotonic()
            live.update(draw(frame, _clock(), out.height), refresh=True)
            time.sleep(max(0.0, began + every_seconds - time.monotonic()))
            now = fleet.look()
            frame, before = frame_of(before, now, fleet.trouble), now


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Ctrl-C, SIGTERM and the terminal's end stop it in order: the terminal must be as it was before."""

    def end(_number: int, _where: FrameType | None) -> None:
        raise _Ended

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except _Ended:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Ended(Exception):
    """Whoever watches has seen enough."""


def _clock() -> str:
    return time.strftime("%H:%M:%S")
