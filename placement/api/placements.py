"""Why a tenant lives where it does, and where one would be placed just now."""

from typing import ClassVar, Self

from pydantic import Field

from directory.reservations import Takes
from placement.api.capacities import Revenue, Tags
from placement.api.values import Label
from placement.balancing import choosing
from placement.choosing import Chooser
from placement.rules import picturing
from runtime.api.endpoint import Call, Endpoint, Input, Output, Reply

MOST_NEAR = 20


class Wanted(Input):
    """A tenant as a cell is chosen for it."""

    recorded: ClassVar[frozenset[str]] = frozenset({"plan", "region", "near", "tags", "revenue", "dedicated_to"})

    plan: Label = "standard"
    region: Label | None = Field(default=None, description="only cells of this region; null: any")
    near: tuple[Label, ...] = Field(
        default=(), max_length=MOST_NEAR, description="regions that would be good, the best first"
    )
    tags: Tags = Field(default=(), description="compliance: only cells that have all of them")
    revenue: Revenue = Field(default=0, description="per month, in the unit of the cells' caps")
    dedicated_to: Label | None = Field(
        default=None, description="only cells that are dedicated to this; null: those that are not dedicated"
    )

    def value(self) -> picturing.Wanted:
        """As it is chosen by."""
        tags = tuple(sorted(set(self.tags)))
        return picturing.Wanted(self.plan, self.region, self.near, tags, self.revenue, self.dedicated_to or "")


class TakenRoom(Output):
    """What a tenant takes of its cell."""

    cpus: float
    memory_bytes: float
    storage_bytes: float
    network_bits: float = Field(description="per second")
    tenants: float
    revenue: float
    top_tier: float = Field(description="1 on a plan of the highest rank")

    @classmethod
    def of(cls, takes: Takes) -> Self:
        """As operators see it."""
        return cls(**dict(zip(cls.model_fields, takes, strict=True)))


class RunnerUp(Output):
    """A cell that would have done."""

    cell_id: str
    score: float
    reason: str


class Placement(Output):
    """Why the tenant lives where it does."""

    cell_id: str
    score: float | None = Field(
        description="from 0 to 1, of the cell with the tenant in it; null: decided or reserved earlier"
    )
    reasons: list[str]
    runners_up: list[RunnerUp]

    @classmethod
    def of(cls, choice: choosing.Choice) -> Self:
        """As operators see it."""
        runners_up = [RunnerUp(cell_id=r.cell_id, score=r.score, reason=r.reason) for r in choice.runners_up]
        return cls(cell_id=choice.cell_id, score=choice.score, reasons=list(choice.reasons), runners_up=runners_up)


class ScoreTerm(Output):
    """A part of a score, which is the mean of all shares by their weights."""

    name: str
    weight: float
    share: float = Field(description="from 0 to 1")
    reason: str


class ScoredCell(Output):
    """A cell that fits, and how well."""

    cell_id: str
    score: float = Field(description="from 0 to 1, of the cell with the tenant in it")
    reason: str
    terms: list[ScoreTerm]


class MissedCell(Output):
    """A cell that does not fit, and the first rule that it breaks."""

    cell_id: str
    rule: str
    reason: str


class Explanation(Output):
    """Where a tenant would be placed just now, and why. Nothing is reserved."""

    chosen: ScoredCell | None = Field(description="null: no cell can take it")
    reasons: list[str] = Field(description="why there, or why nowhere")
    runners_up: list[ScoredCell]
    misses: list[MissedCell] = Field(
        description=f"at most {choosing.MOST_MISSES} cells that do not fit, those that come closest first"
    )
    broken: dict[str, int] = Field(description="how many cells break which rule, all of them")
    cells: int
    fitting: int
    takes: TakenRoom = Field(description="what the tenant is expected to take")

    @classmethod
    def of(cls, wanted: picturing.Wanted, made: choosing.Explanation) -> Self:
        """As operators see it."""
        found = made.found
        scored = _scored(found, made.terms) if isinstance(found, choosing.Choice) else []
        return cls(
            chosen=scored[0] if scored else None,
            reasons=list(found.reasons),
            runners_up=scored[1:],
            misses=[MissedCell(cell_id=m.cell_id, rule=m.rule, reason=m.reason) for m in made.misses],
            broken=dict(made.broken),
            cells=made.cells,
            fitting=made.fitting,
            takes=TakenRoom.of(wanted.takes()),
        )


class PlacementHandlers:
    """The handler."""

    def __init__(self, chooser: Chooser) -> None:
        self._chooser = chooser

    def endpoints(self) -> list[Endpoint[None]]:
        """One."""
        return [
            Endpoint(
                "POST", "/v1/placements:explain", self.explain,
                "See where a tenant would be placed, and why; nothing is reserved", "explainPlacement",
                {200: Explanation}, body=Wanted, tag="placements", role="viewer",
            ),
        ]  # fmt: skip

    async def explain(self, call: Call[None]) -> Reply:
        """200, also when no cell can take it."""
        body: Wanted = call.body
        wanted = body.value()
        return Reply(body=Explanation.of(wanted, await self._chooser.explain(wanted)))


def _scored(choice: choosing.Choice, terms: tuple[tuple[choosing.Term, ...], ...]) -> list[ScoredCell]:
    first = choosing.RunnerUp(choice.cell_id, choice.score, choice.reasons[1])
    return [
        ScoredCell(
            cell_id=cell.cell_id,
            score=cell.score,
            reason=cell.reason,
            terms=[ScoreTerm(name=t.name, weight=t.weight, share=t.share, reason=t.words) for t in of_cell],
        )
        for cell, of_cell in zip((first, *choice.runners_up), terms, strict=True)
    ]
