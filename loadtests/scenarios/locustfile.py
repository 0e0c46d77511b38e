"""The load of scenarios for Locust's web interface: a user is one request a second, sent when it is due.

`ui` (make load-ui) starts a platform and names it in CELLWAY_LOAD_PLAN. The number of users is the rate; Locust's
pages show latencies as scenarios count them, from the moment at which a request was due.
"""

import json
import os
import random
import time
from pathlib import Path

import gevent
from locust import User, constant, task

from loadtests.scenarios.connections import Connections
from loadtests.scenarios.driver import calls_of, show, tenants_of
from loadtests.scenarios.rules.arrivals import OPERATIONS, zipf

PLAN = json.loads(Path(os.environ["CELLWAY_LOAD_PLAN"]).read_text(encoding="utf-8"))
TENANTS = tenants_of(PLAN)
CALLS = calls_of(PLAN, Connections(PLAN["router"], PLAN["ca"]))
SHARES = zipf(len(TENANTS), PLAN["zipf"]).tolist()
NAMES, WEIGHTS = list(PLAN["mix"]), list(PLAN["mix"].values())


class Tenants(User):
    """Asks once a second on the average, for a tenant that is drawn."""

    wait_time = constant(0)

    def on_start(self) -> None:
        self._due = time.perf_counter()

    @task
    def ask(self) -> None:
        """Wait for the next moment, and send: whoever still waits for an answer does not hold it back."""
        self._due += random.expovariate(1.0)
        gevent.sleep(max(0.0, self._due - time.perf_counter()))
        gevent.spawn(self._one, self._due)

    def _one(self, due: float) -> None:
        operation = OPERATIONS.index(random.choices(NAMES, WEIGHTS)[0])
        tenant = random.choices(TENANTS, SHARES)[0]
        answered_at: list[float] = []
        status = CALLS.ask(operation, tenant, lambda: answered_at.append(time.perf_counter()))
        answered_at.append(time.perf_counter())
        show(self.environment, operation, answered_at[0] - due, status)
