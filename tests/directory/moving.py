"""A directory with its moves, of either kind, to try moves on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import get_args

from directory.moves import Moves
from directory.reservations import Reservations
from directory.rules.moves import MoveStep
from directory.truth import Directory
from directory.values import Assignment, Move, MoveOptions, MovePhase, NewMove
from tests.directory.examples import new_tenant, open_cell

PATH: tuple[MoveStep, ...] = (
    "prepare", "capture", "copy", "catch_up", "verify", "ready", "fence", "finalize", "commit", "activate",
    "drain", "keep", "clean", "done",
)  # fmt: skip
"""From PLANNED to DONE."""
PHASES: tuple[MovePhase, ...] = get_args(MovePhase)
LEASE_SECONDS = 600.0
"""Longer than any test takes on the slowest machine: in Postgres real time passes as well."""


@dataclass(frozen=True, slots=True)
class Stage:
    """`desk` is whoever plans and asks (placement's role), `moves` whoever carries out (migration's role)."""

    truth: Directory
    desk: Moves
    moves: Moves
    pass_time: Callable[[float], Awaitable[None]]
    room: Reservations

    async def prepare(self, *tenants: str, cells: int = 3, capacity_tenants: int = 10) -> None:
        """Open cells `cell-1` …, and tenants in the first one."""
        for number in range(1, cells + 1):
            await open_cell(self.truth, f"cell-{number}", capacity_tenants)
        for tenant_id in tenants:
            created = await self.truth.create_tenant(new_tenant(tenant_id), "cell-1")
            await self.truth.applied(tenant_id, created.revision)

    async def claimed(
        self, tenant_id: str = "acme", destination: str = "cell-2", options: MoveOptions | None = None
    ) -> Move:
        """A move just planned, and claimed."""
        planned = await self.desk.plan(NewMove(tenant_id, destination, options or MoveOptions()))
        return await self.claim(planned.move_id)

    async def claim(self, move_id: str) -> Move:
        """Exactly that move, of which nobody keeps the lease."""
        claimed = await self.moves.claim("mover-1", LEASE_SECONDS, 100)
        assert claimed is not None
        assert claimed.move_id == move_id
        return claimed

    async def bring(self, move: Move, phase: MovePhase) -> Move:
        """On the straight path as far as `phase`."""
        while move.phase != phase:
            event = PATH[PHASES.index(move.phase)]
            if event == "commit":
                move = await self.moves.commit(move.move_id, move.token, await self.epoch(move.tenant_id))
            else:
                if event == "clean":
                    await self.desk.ask(move.move_id, "confirm")
                move = await self.moves.record(move.move_id, move.token, event)
        return move

    async def home(self, tenant_id: str = "acme") -> Assignment:
        """Where the tenant lives."""
        assignment = (await self.truth.tenant(tenant_id)).assignment
        assert assignment is not None
        return assignment

    async def epoch(self, tenant_id: str = "acme") -> int:
        """Since which epoch it lives there."""
        return (await self.home(tenant_id)).epoch
