"""Moves as they would be: what would be carried, how long it would take, what is in the way."""

from typing import Self

from pydantic import Field

from directory import values
from directory.moves import Moves
from placement.api.moves import NewMove, ReverseMove, move_of
from placement.surveying import Preview, Survey
from runtime.api.endpoint import Call, Endpoint, Output, Reply


class TablePreview(Output):
    """How much would be carried of one table."""

    relation: str
    rows: int
    bytes: int = Field(description="as they are stored, without indexes")
    estimated: bool = Field(description="too many to be counted: what the cell's database believes")


class MovePreview(Output):
    """A move as it would be. Nothing is planned, and nothing was changed by looking."""

    tenant_id: str
    source: str | None = Field(description="null: the tenant is deleted")
    destination: str
    tables: list[TablePreview] = Field(description="all that would move, also the empty ones")
    rows: int
    bytes: int
    estimated: bool = Field(description="some of the tables are")
    duration_seconds: float | None = Field(
        description="expected, until the tenant lives in the destination; null: nobody says how much it holds"
    )
    measured_moves: int = Field(description="on which that is based; 0: on what is usual")
    pause_p50_ms: float | None = Field(description="how long the tenants of the latest moves could not write")
    pause_p99_ms: float | None = Field(description="null: no move was measured yet")
    measured_pauses: int
    obstacles: list[str] = Field(description="what is in the way, each with what to do; empty: nothing is known")

    @classmethod
    def of(cls, new: values.NewMove, preview: Preview) -> Self:
        """As operators see it."""
        sizes, prediction = preview.sizes or (), preview.prediction
        return cls(
            tenant_id=new.tenant_id,
            source=preview.source,
            destination=new.destination,
            tables=[TablePreview(**size.model_dump()) for size in sizes],
            rows=sum(size.rows for size in sizes),
            bytes=sum(size.bytes for size in sizes),
            estimated=any(size.estimated for size in sizes),
            duration_seconds=None if preview.sizes is None else round(prediction.seconds, 1),
            measured_moves=prediction.measured_moves,
            pause_p50_ms=prediction.pause_p50_ms,
            pause_p99_ms=prediction.pause_p99_ms,
            measured_pauses=prediction.measured_pauses,
            obstacles=list(preview.obstacles),
        )


class Previews:
    """The handlers."""

    def __init__(self, moves: Moves, survey: Survey) -> None:
        self._moves = moves
        self._survey = survey

    def endpoints(self) -> list[Endpoint[None]]:
        """Of a move, and of the way back."""
        return [
            Endpoint(
                "POST", "/v1/moves:preview", self.preview, "See what a move would be, without planning it",
                "previewMove", {200: MovePreview}, body=NewMove, errors=(404,), tag="moves", role="viewer",
            ),
            Endpoint(
                "POST", "/v1/moves/{move}:previewReverse", self.preview_reverse,
                "See what the way back of a move would be", "previewReverse", {200: MovePreview},
                body=ReverseMove, errors=(404,), tag="moves", role="viewer",
            ),
        ]  # fmt: skip

    async def preview(self, call: Call[None]) -> Reply:
        """200, also when there are obstacles."""
        body: NewMove = call.body
        return await self._previewed(body.value())

    async def preview_reverse(self, call: Call[None]) -> Reply:
        """The same."""
        body: ReverseMove = call.body
        return await self._previewed(body.value(await self._moves.move(move_of(call))))

    async def _previewed(self, new: values.NewMove) -> Reply:
        return Reply(body=MovePreview.of(new, await self._survey.preview(new)))
