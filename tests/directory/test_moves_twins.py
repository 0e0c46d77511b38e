"""Whatever is asked in whatever order, Postgres and its twin in memory answer alike."""

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directory.errors import DirectoryError, NotAllowed
from directory.rules.moves import MoveStep
from directory.values import Move, MoveChange, MoveOptions, NewMove, Wish
from runtime import database
from tests.directory.conftest import memory_stage, postgres_stage
from tests.directory.moving import PATH, PHASES, Stage
from tests.servers import ControlDatabase

TENANTS = ("acme", "bolt")
CELLS = ("cell-1", "cell-2", "cell-3")
EMPTY = "TRUNCATE directory.cells, directory.changes CASCADE; TRUNCATE directory.tenants CASCADE"
LEASE_SECONDS, WAIT_SECONDS, SWITCH_SECONDS, REVERSE_SECONDS = 3000.0, 1500.0, 2500.0, 4000.0
STEP_SECONDS, KEPT_SECONDS = 1100.0, 4900.0
"""No sum of steps comes near to another of them: what passes on a real clock meanwhile, some minutes at the most,
makes no difference."""

small = st.integers(0, 3)
OPERATIONS = st.one_of(
    st.tuples(st.just("plan"), st.sampled_from(TENANTS), st.sampled_from(CELLS), st.booleans()),
    st.tuples(st.just("claim"), st.integers(1, 2)),
    *[st.tuples(st.just("advance"), small, st.integers(1, 9))] * 3,
    st.tuples(st.just("record"), small, small, st.sampled_from(get_args(MoveStep))),
    st.tuples(st.just("ask"), small, st.sampled_from(get_args(Wish))),
    st.tuples(st.sampled_from(["commit", "release"]), small, small, small),
    st.tuples(st.sampled_from(["renew", "let_go", "take_switch", "note"]), small, small),
    st.tuples(st.just("pass_time"), st.integers(1, 5)),
    st.tuples(st.just("forget"), st.integers(1, 2)),
    st.tuples(st.just("tenant"), st.sampled_from(TENANTS), st.sampled_from(["suspend", "resume", "delete"])),
    st.tuples(st.just("cell"), st.sampled_from(CELLS), st.sampled_from(["cordon", "open", "fail"])),
)


@dataclass
class Side:
    """One of the twins. Moves, tokens and epochs are named by when they were first seen."""

    stage: Stage
    moves: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)

    async def do(self, operation: tuple[Any, ...]) -> str:
        """What came of it, in words that both share."""
        name, *rest = operation
        if name in ("advance", "record", "ask", "commit", "release", "renew", "let_go", "take_switch", "note"):
            if not self.moves:
                return "nothing"
            rest[0] = self.moves[-1 - rest[0] % len(self.moves)]
        try:
            return self._told(await self._call(name, rest))
        except DirectoryError as error:
            return type(error).__name__

    def _call(self, name: str, rest: list[Any]) -> Awaitable[Any]:
        desk, moves = self.stage.desk, self.stage.moves
        if name == "plan":
            tenant_id, cell_id, back = rest
            reverses = self.moves[-1] if back and self.moves else None
            options = MoveOptions(reverse_seconds=REVERSE_SECONDS)
            return self._plan(NewMove(tenant_id, cell_id, options, reverses=reverses))
        if name == "claim":
            return moves.claim("mover", LEASE_SECONDS, rest[0])
        if name == "ask":
            return desk.ask(*rest)
        if name == "forget":
            return moves.forget_ended(KEPT_SECONDS, rest[0])
        if name == "pass_time":
            return self.stage.pass_time(rest[0] * STEP_SECONDS)
        if name == "tenant":
            return self.stage.truth.change_tenant(*rest)
        if name == "cell":
            return self.stage.truth.change_cell(*rest)
        if name == "advance":
            return self._advance(*rest)
        token = self.tokens[-1 - rest[1] % len(self.tokens)] if self.tokens else 0
        return self._carry(name, rest[0], token, rest[2:])

    async def _plan(self, new: NewMove) -> Move:
        """Just as was told before."""
        told = await self.stage.desk.check(new)
        try:
            planned = await self.stage.desk.plan(new)
        except NotAllowed as refusal:
            assert str(refusal) == told[0]  # noqa: PT017 any other error is the caller's
            raise
        assert list(told) == []
        return planned

    async def _carry(self, name: str, move_id: str, token: int, rest: list[Any]) -> Any:
        moves = self.stage.moves
        if name == "record":
            return await moves.record(move_id, token, rest[0])
        if name in ("commit", "release"):
            return await getattr(moves, name)(move_id, token, self.epochs[-1 - rest[0] % len(self.epochs)])
        if name == "note":
            return await moves.note(move_id, token, MoveChange(error="slow", progress={"rows": len(self.tokens)}))
        seconds = {"renew": LEASE_SECONDS, "let_go": WAIT_SECONDS, "take_switch": SWITCH_SECONDS}[name]
        return await getattr(moves, name)(move_id, token, seconds)

    async def _advance(self, move_id: str, phases: int) -> Move:
        """By whoever carries it, as far as nothing is in the way."""
        moves = self.stage.moves
        move = await moves.move(move_id)
        for _ in range(phases):
            event = PATH[min(PHASES.index(move.phase), len(PATH) - 1)]
            if event == "commit":
                epoch = await self.stage.epoch(move.tenant_id)
                move = await moves.commit(move_id, move.token, epoch)
            else:
                move = await moves.record(move_id, move.token, event)
        return move

    def _told(self, result: Any) -> str:
        if not isinstance(result, Move):
            return str(result) if isinstance(result, bool | int | None) else ""
        if result.move_id not in self.moves:
            self.moves.append(result.move_id)
        if result.token and result.token not in self.tokens:
            self.tokens.append(result.token)
        return self._state(result)

    def _state(self, move: Move) -> str:
        token = self.tokens.index(move.token) if move.token else None
        back = None if move.reverses is None else self.moves.index(move.reverses)
        return (
            f"{self.moves.index(move.move_id)} {move.tenant_id} {move.source} {move.destination} {move.phase} "
            f"{move.wish} {move.paused} {token} {move.owner} {move.attempt} {sorted(move.epochs)} {move.progress} "
            f"{move.error} {back} {move.ended_at is not None}"
        )

    async def everything(self) -> list[str]:
        """All that can be seen."""
        lines = []
        for tenant in await self.stage.truth.tenants():
            home = tenant.assignment
            if home is not None and home.epoch not in self.epochs:
                self.epochs.append(home.epoch)
            epoch = None if home is None else self.epochs.index(home.epoch)
            lines.append(f"{tenant.tenant_id} {tenant.state} {home and home.cell_id} {epoch}")
        lines += [f"{cell.cell_id} {cell.state} {cell.tenants}" for cell in await self.stage.truth.cells()]
        for move in await self.stage.desk.moves():
            events = await self.stage.desk.events(move.move_id)
            lines += [self._state(move), *(f"{event.number} {event.phase} {event.text}" for event in events)]
        return lines


@pytest.fixture
async def in_postgres(control_database: ControlDatabase) -> AsyncIterator[tuple[Stage, database.Connection]]:
    """One for all examples, which empty it."""
    admin = await database.reach(control_database.admin_dsn)
    async with postgres_stage(control_database) as stage:
        yield stage, admin
    await admin.close()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(OPERATIONS, min_size=10, max_size=60))
async def test_the_twins_answer_alike(
    in_postgres: tuple[Stage, database.Connection], operations: list[tuple[Any, ...]]
) -> None:
    """Results, refusals by their kind, and afterwards everything that can be seen."""
    stage, admin = in_postgres
    await admin.execute(EMPTY)
    twins = Side(memory_stage()), Side(stage)
    for side in twins:
        await side.stage.prepare(*TENANTS)
        await side.everything()
    for operation in [("plan", "acme", "cell-2", False), ("claim", 2), *operations]:
        await twins[0].stage.pass_time(0.01)  # ids are in the order of time on both sides
        first, second = [await side.do(operation) for side in twins]
        assert first == second, operation
        first_seen, second_seen = [await side.everything() for side in twins]
        assert first_seen == second_seen, operation
