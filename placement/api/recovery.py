"""What a cell's recovery needs, as operators see it."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from directory.values import MovePhase
from placement.recoveries import Found
from placement.rules.recovering import Advice
from placement.rules.standing import LastSeen, Standing
from runtime.api.endpoint import Output


class Health(Output):
    """How a cell is, by all who can tell. It is evidence for people: nothing is decided by it."""

    verdict: Literal["well", "doubtful", "down"] = Field(
        description="down: two kinds of witnesses agree; doubtful: one of them says something"
    )
    reasons: str = Field(description="what speaks against it; empty: nothing does")
    answered_time: datetime | None = Field(
        description="when it last answered this placement; null: not since that began"
    )
    seen_time: datetime | None = Field(
        description="when the registry last saw a process of it; null: not since this placement began"
    )

    @classmethod
    def of(cls, standing: Standing, last: LastSeen) -> Self:
        """As operators see it."""
        return cls(
            verdict=standing.verdict, reasons=standing.reasons, answered_time=last.answered, seen_time=last.seen
        )


class UnfinishedMove(Output):
    """A move from or to the cell that has not ended, and what to do about it."""

    move_id: str
    tenant_id: str
    direction: Literal["leaves", "arrives"]
    other_cell: str
    phase: MovePhase
    text: str
    commands: list[str] = Field(description="what an operator may do; empty: nothing needs to be done")

    @classmethod
    def of(cls, advice: Advice) -> Self:
        """As operators see it."""
        return cls(
            move_id=advice.move_id,
            tenant_id=advice.tenant_id,
            direction=advice.direction,
            other_cell=advice.other_cell,
            phase=advice.phase,
            text=advice.text,
            commands=list(advice.commands),
        )


class Recovery(Output):
    """What it takes to bring a cell back, and what is lost if it does not come back."""

    cell_id: str
    state: Literal["joining", "open", "cordoned", "draining", "empty", "retired", "failed"]
    health: Health
    tenants: int = Field(description="how many live there")
    first_tenants: list[str] = Field(description="some of them, by name")
    moves: list[UnfinishedMove]
    more_moves: bool = Field(description="there are more moves than are told")
    steps: list[str] = Field(description="how it is brought back, in order")
    lost: str = Field(description="what is lost if it does not come back")

    @classmethod
    def of(cls, found: Found) -> Self:
        """As operators see it."""
        return cls(
            cell_id=found.cell.cell_id,
            state=found.cell.state,
            health=Health.of(found.standing, found.last),
            tenants=found.cell.tenants,
            first_tenants=list(found.tenants),
            moves=[UnfinishedMove.of(advice) for advice in found.moves],
            more_moves=found.more_moves,
            steps=list(found.steps),
            lost=found.lost,
        )
