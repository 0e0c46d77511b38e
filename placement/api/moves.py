"""Moves of tenants between cells: plan, look at, pause, resume, switch, cancel, confirm, reverse."""

import re
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from directory import values
from directory.moves import Moves
from directory.rules.moves import MOST_PAUSE_MS, MOST_REVERSE_SECONDS, MOVE_ID
from directory.values import MovePhase, Wish
from placement.api.values import Name, Page
from placement.rules import moving
from placement.surveying import Survey
from runtime import logs
from runtime.api.endpoint import Call, Endpoint, Input, Output, Reply
from runtime.api.pages import PageTokens, page_size
from runtime.api.problem import not_found
from runtime.api.texts import PRINTABLE

log = logs.get("placement.moves")
_MOVE_ID = re.compile(MOVE_ID.removesuffix("$") + r"\Z")
Reason = Annotated[str, StringConstraints(max_length=200, pattern=PRINTABLE)]
Milliseconds = Annotated[float, Field(gt=0, le=MOST_PAUSE_MS, allow_inf_nan=False)]
USUAL = values.MoveOptions()


class MoveOptions(Input):
    """How a move is carried out."""

    recorded: ClassVar[frozenset[str]] = frozenset(
        {"reverse_seconds", "pause_budget_ms", "most_pause_ms", "verify", "hold"}
    )

    reverse_seconds: float = Field(
        default=USUAL.reverse_seconds, ge=0, le=MOST_REVERSE_SECONDS, allow_inf_nan=False,
        description="how long the way back is kept",
    )  # fmt: skip
    pause_budget_ms: Milliseconds = Field(
        default=USUAL.pause_budget_ms, description="switch when writes are expected to pause no longer than this"
    )
    most_pause_ms: Milliseconds = Field(
        default=USUAL.most_pause_ms, description="give a switch up, and try again, when they pause longer"
    )
    verify: bool = Field(default=USUAL.verify, description="compare everything before the switch")
    hold: bool = Field(default=USUAL.hold, description="stop before the switch until told to")

    @model_validator(mode="after")
    def _the_budget_is_within_the_most(self) -> Self:
        if self.pause_budget_ms > self.most_pause_ms:
            raise ValueError("pause_budget_ms is at most most_pause_ms")
        return self

    def value(self) -> values.MoveOptions:
        """As the directory keeps it."""
        return values.MoveOptions(**self.model_dump())


class NewMove(Input):
    """A move as it is asked for."""

    recorded: ClassVar[frozenset[str]] = frozenset({"tenant_id", "destination", "options"})

    tenant_id: Name
    destination: Name = Field(description="an open cell with a free place")
    options: MoveOptions = MoveOptions()
    reason: Reason = Field(default="", description="for people")

    def value(self) -> values.NewMove:
        """As the directory keeps it."""
        return values.NewMove(self.tenant_id, self.destination, self.options.value(), self.reason)


class ReverseMove(Input):
    """How to go the way back."""

    recorded: ClassVar[frozenset[str]] = frozenset({"options"})

    options: MoveOptions = MoveOptions()
    reason: Reason = Field(default="", description="for people")

    def value(self, old: values.Move) -> values.NewMove:
        """As the directory keeps it: a move of its own, from the destination to the source."""
        options = self.options.value()
        return values.NewMove(old.tenant_id, old.source, options, self.reason, reverses=old.move_id)


class Move(Output):
    """One tenant's way from a source to a destination cell."""

    move_id: str
    tenant_id: str
    source: str
    destination: str
    phase: MovePhase
    paused: bool
    wish: Wish = Field(description="what was asked for last")
    verbs: list[str] = Field(description="what may be asked for now")
    next_action: str = Field(description="what happens next, or who must do something")
    owner: str = Field(description="who carries it; empty: nobody just now")
    token: int = Field(description="of whoever carries it: lower ones are outdated")
    attempt: int = Field(description="counts the switches")
    epochs: dict[str, int] = Field(description="of its decisions, by name")
    options: MoveOptions
    progress: dict[str, Any]
    proof: dict[str, Any] = Field(description="what was compared, and what came of it")
    pause_ms: float | None = Field(description="how long the tenant could not write; null: not yet known")
    error: str = Field(description="what last went wrong; empty: nothing that matters now")
    reason: str
    reverses: str | None = Field(description="the move whose way back it goes")
    create_time: datetime
    update_time: datetime
    end_time: datetime | None

    @classmethod
    def of(cls, move: values.Move) -> Self:
        """As operators see it."""
        fields = asdict(move)
        times = {
            "create_time": fields.pop("created_at"),
            "update_time": fields.pop("updated_at"),
            "end_time": fields.pop("ended_at"),
        }
        more = {"verbs": moving.verbs(move), "next_action": moving.next_action(move)}
        return cls.model_validate({**fields, **times, **more})


class MovePage(Output):
    """Some moves, the oldest first."""

    moves: list[Move]
    next_page_token: str = Field(default="", description="empty on the last page")


class MoveQuery(Page):
    """Which moves."""

    tenant: Name | None = Field(default=None, description="only moves of this tenant")
    cell: Name | None = Field(default=None, description="only moves that leave this cell, or go there")
    unfinished: bool | None = Field(
        default=None, description="true: only those that have not ended; false: only others"
    )


class MoveEvent(Output):
    """One thing that happened to a move."""

    number: int = Field(description="from 1")
    time: datetime
    phase: MovePhase = Field(description="the one that it led to")
    text: str
    detail: dict[str, Any]


class MoveEventPage(Output):
    """Some events, the oldest first."""

    events: list[MoveEvent]
    next_page_token: str = Field(default="", description="empty on the last page")


class MoveHandlers:
    """The handlers."""

    def __init__(self, moves: Moves, survey: Survey, tokens: PageTokens) -> None:
        self._moves = moves
        self._survey = survey
        self._tokens = tokens

    def endpoints(self) -> list[Endpoint[None]]:
        """In the order of a move's life."""
        one, tag = "/v1/moves/{move}", "moves"
        asking = [
            (self.pause, "pause", "Let it rest; possible before the switch, and while the way back is kept"),
            (self.resume, "resume", "Let a paused move go on"),
            (self.switch, "switch", "Let a move that is held switch"),
            (self.cancel, "cancel", "Give it up before it is decided: the tenant stays where it is"),
            (self.confirm, "confirm", "Give the way back up before its time is over"),
        ]
        return [
            Endpoint(
                "POST", "/v1/moves", self.plan, "Plan a move of a tenant to another cell", "planMove", {201: Move},
                body=NewMove, errors=(404, 409), tag=tag,
            ),
            Endpoint(
                "GET", "/v1/moves", self.listed, "List moves, the oldest first", "listMoves", {200: MovePage},
                query=MoveQuery, tag=tag,
            ),
            Endpoint("GET", one, self.get, "Look at a move", "getMove", {200: Move}, tag=tag),
            Endpoint(
                "GET", one + "/events", self.events, "Read what happened to a move", "listMoveEvents",
                {200: MoveEventPage}, query=Page, tag=tag,
            ),
            *[
                Endpoint(
                    "POST", f"{one}:{verb}", handler, summary, f"{verb}Move", {200: Move}, errors=(409,), tag=tag
                )
                for handler, verb, summary in asking
            ],
            Endpoint(
                "POST", one + ":reverse", self.reverse, "Plan the way back of a move whose time is not over",
                "reverseMove", {201: Move}, body=ReverseMove, errors=(409,), tag=tag,
            ),
        ]  # fmt: skip

    async def plan(self, call: Call[None]) -> Reply:
        """A mover takes it up."""
        body: NewMove = call.body
        return await self._planned(body.value())

    async def reverse(self, call: Call[None]) -> Reply:
        """A move of its own, from the destination to the source."""
        body: ReverseMove = call.body
        return await self._planned(body.value(await self._moves.move(move_of(call))))

    async def _planned(self, new: values.NewMove) -> Reply:
        await self._survey.admit(new)
        move = await self._moves.plan(new)
        log.info(
            "move_planned", move=move.move_id, tenant=move.tenant_id, source=move.source,
            destination=move.destination, reverses=move.reverses,
        )  # fmt: skip
        return Reply(201, Move.of(move))

    async def listed(self, call: Call[None]) -> Reply:
        """By id, which is by time."""
        query: MoveQuery = call.query
        made_for = ("moves", query.tenant or "", query.cell or "", str(query.unfinished))
        after = str(self._tokens.open(made_for, query.page_token)[0]) if query.page_token else ""
        size = page_size(query.page_size)
        found = await self._moves.moves(
            after=after, limit=size + 1, tenant_id=query.tenant, cell_id=query.cell, unfinished=query.unfinished
        )
        more = self._tokens.seal(made_for, [found[size - 1].move_id]) if len(found) > size else ""
        return Reply(body=MovePage(moves=[Move.of(move) for move in found[:size]], next_page_token=more))

    async def get(self, call: Call[None]) -> Reply:
        """One."""
        return Reply(body=Move.of(await self._moves.move(move_of(call))))

    async def events(self, call: Call[None]) -> Reply:
        """By number."""
        query: Page = call.query
        name, size = move_of(call), page_size(query.page_size)
        made_for = ("move-events", name)
        after = int(self._tokens.open(made_for, query.page_token)[0]) if query.page_token else 0
        found = await self._moves.events(name, after, size + 1)
        more = self._tokens.seal(made_for, [found[size - 1].number]) if len(found) > size else ""
        shown = [
            MoveEvent(number=each.number, time=each.at, phase=each.phase, text=each.text, detail=dict(each.detail))
            for each in found[:size]
        ]
        return Reply(body=MoveEventPage(events=shown, next_page_token=more))

    async def pause(self, call: Call[None]) -> Reply:
        """Again changes nothing."""
        return await self._ask(call, "pause")

    async def resume(self, call: Call[None]) -> Reply:
        """At once, also one that rests after a failure."""
        return await self._ask(call, "resume")

    async def switch(self, call: Call[None]) -> Reply:
        """At the next good moment."""
        return await self._ask(call, "switch")

    async def cancel(self, call: Call[None]) -> Reply:
        """Once answered, nothing is committed any more."""
        return await self._ask(call, "cancel")

    async def confirm(self, call: Call[None]) -> Reply:
        """The rows in the source are removed."""
        return await self._ask(call, "confirm")

    async def _ask(self, call: Call[None], verb: str) -> Reply:
        move = await self._moves.ask(move_of(call), moving.VERBS[verb])
        log.info("move_asked", move=move.move_id, tenant=move.tenant_id, phase=move.phase, wish=move.wish)
        return Reply(body=Move.of(move))


def move_of(call: Call[None]) -> str:
    """The move that the path names; ApiError 404 when there cannot be one of that name."""
    name = call.path["move"]
    if _MOVE_ID.match(name) is None:
        raise not_found("move", name)
    return name
