"""What one measurement of one proxy found."""

from dataclasses import asdict, dataclass, fields
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Figures:
    """`failures` counts by kind what did not go well; for streams `requests` are events.

    `others_cores` is what else the machine did meanwhile, see `noise`.
    """

    requests: int
    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float
    failures: dict[str, int]
    others_cores: float = 0.0

    @property
    def failed(self) -> int:
        return sum(self.failures.values())


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians over the rounds; `failures` is their sum. Megabytes are of bodies, 2**20 bytes each."""

    requests_per_second: float
    cpu_us_per_request: float
    cpu_share: float
    p50_ms: float
    p99_ms: float
    megabytes_per_second: float
    others_cores: float
    failures: int

    def rounded(self) -> dict[str, Any]:
        """For the results file."""
        return {field.name: round(asdict(self)[field.name], 3) for field in fields(self)}


def summary(rounds: list[Figures], moved_bytes: int) -> Summary:
    """At least one round."""
    rate = median(each.requests / each.seconds for each in rounds)
    return Summary(
        requests_per_second=rate,
        cpu_us_per_request=median(each.cpu_seconds * 1e6 / max(1, each.requests) for each in rounds),
        cpu_share=median(each.cpu_seconds / each.seconds for each in rounds),
        p50_ms=median(each.p50_ms for each in rounds),
        p99_ms=median(each.p99_ms for each in rounds),
        megabytes_per_second=rate * moved_bytes / 2**20,
        others_cores=median(each.others_cores for each in rounds),
        failures=sum(each.failed for each in rounds),
    )


def percentile(ordered: list[float], share: float) -> float:
    """Of values in order; 0 when there are none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
