"""What a cell can hold and may take along, as JSON; in a merge patch (RFC 7396), null removes."""

from dataclasses import asdict, replace
from typing import Annotated, ClassVar, Self

from pydantic import Field

from directory import values
from directory.rules.capacities import MOST
from runtime.api.endpoint import Input

WHOLE = int(MOST)
Amount = Annotated[float, Field(gt=0, le=MOST, allow_inf_nan=False)]
Bytes = Annotated[int, Field(gt=0, le=WHOLE)]


class Capacity(Input):
    """What a cell can hold beside a number of tenants; null: not known, as much as comes."""

    recorded: ClassVar[frozenset[str]] = frozenset({"cpus", "memory_bytes", "storage_bytes", "network_bits"})

    cpus: Amount | None = Field(default=None, description="processors, or shares of them")
    memory_bytes: Bytes | None = None
    storage_bytes: Bytes | None = None
    network_bits: Amount | None = Field(default=None, description="per second")

    @classmethod
    def of(cls, capacity: values.Capacity) -> Self:
        """As operators see it."""
        return cls(**asdict(capacity))

    def value(self) -> values.Capacity:
        """As the directory keeps it."""
        return values.Capacity(**self.model_dump())

    def merged(self, known: values.Capacity) -> values.Capacity:
        """What was known, with what is told here."""
        return replace(known, **self.model_dump(exclude_unset=True))


class Caps(Input):
    """How much of the company one cell may take along when it is lost; null: no cap."""

    recorded: ClassVar[frozenset[str]] = frozenset({"revenue", "top_tier"})

    revenue: Amount | None = Field(default=None, description="of its tenants, per month")
    top_tier: Annotated[int, Field(ge=0, le=WHOLE)] | None = Field(
        default=None, description="tenants on a plan of the highest rank"
    )

    @classmethod
    def of(cls, caps: values.Caps) -> Self:
        """As operators see it."""
        return cls(**asdict(caps))

    def value(self) -> values.Caps:
        """As the directory keeps it."""
        return values.Caps(**self.model_dump())

    def merged(self, known: values.Caps) -> values.Caps:
        """What was known, with what is told here."""
        return replace(known, **self.model_dump(exclude_unset=True))
