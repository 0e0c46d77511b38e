"""What is asked of every proxy. Bodies are in bytes, both ways."""

from dataclasses import dataclass
from typing import Literal

KILOBYTE, MEGABYTE = 1024, 1024 * 1024
CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of load.

    `closed`: each connection sends its next request when the last one is answered. `streams`: `connections`
    streams of events. `half`: requests at a constant rate, half of what our router can do.
    `tenants` is less than all where their requests together would be too large to keep ready.
    """

    name: str
    title: str
    kind: Literal["closed", "streams", "half"] = "closed"
    method: Literal["GET", "POST"] = "GET"
    path: str = "/v1/small"
    sent_bytes: int = 0
    received_bytes: int = 0
    connections: int = CONNECTIONS
    tenants: int = 10_000
    times: int = 1
    """How often a round measures it: a tail that a few stalls of the machine make up needs many measurements."""

    @property
    def moved_bytes(self) -> int:
        """Of bodies, by one request."""
        return self.sent_bytes + self.received_bytes


SCENARIOS = (
    Scenario("small", "small GET, 64 connections"),
    Scenario("get_1k", "GET of 1 KB", path="/v1/1k", received_bytes=KILOBYTE),
    Scenario("get_1m", "GET of 1 MB", path="/v1/1m", received_bytes=MEGABYTE, connections=16),
    Scenario("post_small", "POST of 64 bytes", method="POST", path="/v1/take", sent_bytes=64),
    Scenario("post_1k", "POST of 1 KB", method="POST", path="/v1/take", sent_bytes=KILOBYTE),
    Scenario(
        "post_1m", "POST of 1 MB", method="POST", path="/v1/take", sent_bytes=MEGABYTE, connections=16, tenants=32
    ),
    Scenario("connections_1000", "small GET, 1,000 connections", connections=1000),
    Scenario("events", "200 streams of events", kind="streams", path="/v1/events", connections=200),
    Scenario("half", "small GET at half of our capacity, constant rate", kind="half", times=3),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
QUICK = ("small",)
