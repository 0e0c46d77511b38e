"""The process that makes the load: `python -m loadtests.scenarios.driver PLAN`, as `load` starts it.

Locust's runner, user, shape and statistics, with an open loop: when each request is due is drawn beforehand and
read from a file. At that moment it gets a greenlet of its own, however many are under way, and its latency counts
from that moment: nothing that comes late is left out, and no slow answer holds others back.

    says  ready                   hears  go SECONDS (of the system's clock: when the first second begins)
    says  {"repeated": 0, …}      when every answer has come, or its time is over
"""

# Locust makes waiting in this process a matter of greenlets, so it comes before all that waits.
from locust import LoadTestShape, User, constant, task  # isort: skip
from locust.env import Environment  # isort: skip

import contextlib
import gc
import json
import os
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, TextIO

import gevent
import numpy as np
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from loadtests.scenarios.calls import Calls, Tenant
from loadtests.scenarios.connections import ANSWER_SECONDS, MOST_OPEN, Connections
from loadtests.scenarios.rules.arrivals import OPERATIONS, Arrivals
from loadtests.scenarios.rules.samples import FORMAT, SILENT, WORDS

LAST_SECONDS = 2 * ANSWER_SECONDS
"""After the last request was due, for the answers that are still to come."""
FLUSH_SECONDS = 1.0
FIRST, LAST = -10, 19
"""Priorities: of whoever sends at set times, and of whoever floods.

The first comes before the platform, for elsewhere a client has a processor of its own; else one that has more to
send than the machine carries would send it late, and for longer. The other comes after all else.
"""
AUTOGROUP = Path("/proc/self/autogroup")


class Failed(Exception):
    """What Locust's statistics show of a request that was not answered with success."""


class Notes:
    """Writes down what came of each request."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._pending: list[bytes] = []

    def add(self, due: float, seconds: float, late: float, tenant: int, operation: int, status: int) -> None:
        self._pending.append(struct.pack(FORMAT, due, seconds, late, tenant, operation, status))

    def flush(self) -> None:
        self._file.write(b"".join(self._pending))
        self._file.flush()
        self._pending.clear()


class Play:
    """One run: all requests of a plan, sent when they are due."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.arrivals: Arrivals = np.load(plan["arrivals"])
        self.tenants = tenants_of(plan)
        self.router = Connections(plan["router"], plan["ca"])
        self.calls = calls_of(plan, self.router)
        self.notes = Notes(Path(plan["samples"]))
        self.over = Event()
        self.begins_at = 0.0
        self._open = BoundedSemaphore(MOST_OPEN)
        self._under_way: dict[gevent.Greenlet[..., None], tuple[float, int, int]] = {}

    def begin(self, at: float) -> None:
        """The first second begins at that time of the system's clock."""
        self.begins_at = time.perf_counter() + at - time.time()

    def send(self, environment: Environment) -> None:
        """All of them, each when it is due; then wait for the answers."""
        for due, tenant, operation in self._in_order():
            wait = self.begins_at + due - time.perf_counter()
            if wait > 0:
                gevent.sleep(wait)
            self._open.acquire()
            one = gevent.spawn(self._one, environment, due, tenant, operation)
            self._under_way[one] = due, tenant, operation
            one.rawlink(self._under_way.pop)
        gevent.joinall(list(self._under_way), timeout=LAST_SECONDS)
        for one, (due, tenant, operation) in list(self._under_way.items()):
            one.kill()
            self.notes.add(due, time.perf_counter() - self.begins_at - due, 0.0, tenant, operation, SILENT)
        self.notes.flush()
        self.over.set()

    def _in_order(self) -> Iterator[tuple[float, int, int]]:
        for each in self.arrivals:
            yield float(each["due"]), int(each["tenant"]), int(each["operation"])

    def _one(self, environment: Environment, due: float, number: int, operation: int) -> None:
        late = time.perf_counter() - self.begins_at - due
        answered_at: list[float] = []

        def answered() -> None:
            if not answered_at:
                answered_at.append(time.perf_counter())

        try:
            status = self.calls.ask(operation, self.tenants[number], answered)
        finally:
            self._open.release()
        answered()
        seconds = answered_at[0] - self.begins_at - due
        self.notes.add(due, seconds, late, number, operation, status)
        show(environment, operation, seconds, status)

    def flush(self) -> None:
        """Write down what has come, again and again: a run that is broken off leaves what it found."""
        while not self.over.wait(FLUSH_SECONDS):
            self.notes.flush()


def show(environment: Environment, operation: int, seconds: float, status: int) -> None:
    """For Locust's statistics and its pages."""
    well = 200 <= status < 300
    environment.events.request.fire(  # type: ignore[no-untyped-call]
        request_type="cellway",
        name=OPERATIONS[operation],
        response_time=seconds * 1000,
        response_length=0,
        exception=None if well else Failed(WORDS.get(status, str(status))),
        context={},
    )


def tenants_of(plan: dict[str, Any]) -> list[Tenant]:
    """Those of a plan, in its order."""
    return [Tenant(each["tenant_id"], each["path"], each["api_key"]) for each in plan["tenants"]]


def calls_of(plan: dict[str, Any], router: Connections) -> Calls:
    """As a plan says."""
    placement = Connections(plan["placement"], plan["ca"]) if plan["placement"] else None
    return Calls(router, placement, plan["operator_token"], plan["events_path"], plan["first"])


class Source(User):
    """The one user: all requests come from it."""

    wait_time = constant(0)
    play: ClassVar[Play]

    @task
    def send(self) -> None:
        """All of them, once."""
        if not self.play.over.is_set():
            self.play.send(self.environment)
        self.play.over.wait()
        gevent.sleep(FLUSH_SECONDS)


class UntilAllAreAnswered(LoadTestShape):
    """Locust's runner goes on for as long as requests are due or under way."""

    def tick(self) -> tuple[int, float] | None:
        return None if Source.play.over.is_set() else (1, 1.0)


def run_open(plan: dict[str, Any], hear: TextIO) -> dict[str, Any]:
    """Send all requests of the plan; what is told at the end."""
    play = Source.play = Play(plan)
    shape = UntilAllAreAnswered()  # type: ignore[no-untyped-call]
    environment = Environment(user_classes=[Source], shape_class=shape)
    runner = environment.create_local_runner()
    tell("ready")
    word, _, at = hear.readline().strip().partition(" ")
    if word != "go":
        raise SystemExit("nobody said go")
    play.begin(float(at))
    used = time.process_time()
    gevent.spawn(play.flush)
    runner.start_shape()
    play.over.wait()
    runner.quit()
    return {
        "repeated": play.router.repeated,
        "counted_by_locust": environment.stats.total.num_requests,
        "said": dict(play.calls.said),
        "cpu_seconds": time.process_time() - used,
    }


def run_closed(plan: dict[str, Any]) -> dict[str, Any]:
    """As fast as answers come, on so many connections, for so long: what the machine can carry."""
    play = Play(plan)
    closed = plan["closed"]
    arrivals = iter(play._in_order())
    begin = time.perf_counter() + closed["warm_seconds"]
    end = begin + closed["seconds"]
    done: list[int] = []

    def one_after_another() -> None:
        for _due, tenant, operation in arrivals:
            started = time.perf_counter()
            if started >= end:
                return
            status = play.calls.ask(operation, play.tenants[tenant], lambda: None)
            if begin <= time.perf_counter() <= end:
                done.append(status)

    gevent.joinall([gevent.spawn(one_after_another) for _ in range(closed["connections"])])
    well = sum(200 <= status < 300 for status in done)
    return {"per_second": len(done) / closed["seconds"], "failed": len(done) - well}


def count_as(priority: int) -> None:
    """Be given a processor before others are, or after them, if the system lets us.

    Linux shares its processors among sessions first, of which this process leads one, and then among processes.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, priority)
    with contextlib.suppress(OSError):
        AUTOGROUP.write_text(str(priority), encoding="ascii")


def tell(what: str) -> None:
    """A line for whoever started us."""
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


def main() -> None:
    """Play the plan of the first argument."""
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    gc.freeze()
    if plan["closed"]:
        told = run_closed(plan)
    else:
        count_as(LAST if plan["gives_way"] else FIRST)
        told = run_open(plan, sys.stdin)
    tell(json.dumps(told))


if __name__ == "__main__":
    main()
