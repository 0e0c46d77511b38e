"""Options about what a cell holds."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from console.amounts import NONE, bytes_of, number_of
from console.errors import Usage

Cpus = Annotated[str | None, typer.Option(help="How many CPUs it has; none: not known.", metavar="NUMBER")]
Memory = Annotated[str | None, typer.Option(help="Its memory, such as 64GiB; none: not known.", metavar="BYTES")]
Storage = Annotated[str | None, typer.Option(help="Its storage, such as 2TB; none: not known.", metavar="BYTES")]
Network = Annotated[str | None, typer.Option(help="What it sends a second, such as 10Gbit.", metavar="BITS")]
CapRevenue = Annotated[str | None, typer.Option(help="Most revenue a month of its tenants; none: no cap.")]
CapTopTier = Annotated[str | None, typer.Option(help="Most tenants of the highest plan; none: no cap.")]
DedicatedTo = Annotated[
    str | None, typer.Option(help="Only tenants that are dedicated to this live there; none: everybody else.")
]


@dataclass(frozen=True, slots=True)
class Holding:
    """What a cell can hold, may take along, and for whom it is."""

    cpus: Cpus = None
    memory: Memory = None
    storage: Storage = None
    network: Network = None
    cap_revenue: CapRevenue = None
    cap_top_tier: CapTopTier = None
    dedicated_to: DedicatedTo = None

    def body(self) -> dict[str, Any]:
        """What was said, as placement is told; null takes away. Usage."""
        capacity: dict[str, Any] = {}
        if self.cpus is not None:
            capacity["cpus"] = number_of(self.cpus, "", "--cpus")
        if self.memory is not None:
            capacity["memory_bytes"] = bytes_of(self.memory, "--memory")
        if self.storage is not None:
            capacity["storage_bytes"] = bytes_of(self.storage, "--storage")
        if self.network is not None:
            capacity["network_bits"] = number_of(self.network, "bit", "--network")
        caps: dict[str, Any] = {}
        if self.cap_revenue is not None:
            caps["revenue"] = number_of(self.cap_revenue, "", "--cap-revenue")
        if self.cap_top_tier is not None:
            caps["top_tier"] = _whole(self.cap_top_tier)
        body: dict[str, Any] = {}
        if capacity:
            body["capacity"] = capacity
        if caps:
            body["caps"] = caps
        if self.dedicated_to is not None:
            body["dedicated_to"] = None if self.dedicated_to == NONE else self.dedicated_to
        return body


def _whole(text: str) -> int | None:
    if text == NONE:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Usage(f"--cap-top-tier is a whole number; {NONE} takes it away")
    return int(text)
