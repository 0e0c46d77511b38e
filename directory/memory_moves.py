"""The twin in memory of moves: the same promises and errors, for tests and for trying things out."""

import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from directory.errors import NotAllowed, NotFound, Stale
from directory.memory import KeptMove, MemoryDirectory
from directory.moves import NOTHING
from directory.reservations import Takes
from directory.rules import moves as rules
from directory.rules.capacities import capped
from directory.rules.moves import Decision, MoveStep
from directory.rules.planning import MEASURED, check_offer
from directory.values import Move, MoveChange, MoveEvent, MovePhase, NewMove, Passage, PhaseCount, Term, Wish


class MemoryMoves:
    """`Moves` of a `MemoryDirectory`. Every method runs without awaiting in between, so each is atomic."""

    def __init__(self, directory: MemoryDirectory) -> None:
        self._directory = directory
        self._clock = directory.clock

    def __repr__(self) -> str:
        unfinished = sum(kept.move.ended_at is None for kept in self._directory.moves.values())
        return f"<MemoryMoves {len(self._directory.moves)}, {unfinished} unfinished>"

    # By whoever wants a tenant elsewhere

    async def plan(self, new: NewMove, term: Term | None = None) -> Move:
        self._directory.check_term(term)
        return self.planned(new)

    def planned(self, new: NewMove, measured: Takes = (0.0,) * MEASURED, offer: int = 0) -> Move:
        """As `plan`, in what is one step with something else; as its twin in Postgres."""
        for refusal in self._refusals(new):
            raise refusal
        room = self._directory.rooms[new.destination]
        check_offer(new.destination, offer, room.offer)
        if new.reverses is not None:
            self._take_way_back(self._kept(new.reverses))
        tenant = self._directory.get_tenant(new.tenant_id)
        room.promise((*measured, *capped(tenant)), placed=True)
        return self._insert(new, rules.check_movable(new, tenant))

    async def check(self, new: NewMove) -> Sequence[str]:
        return [str(refusal) for refusal in self._refusals(new)]

    def _refusals(self, new: NewMove) -> Sequence[NotAllowed]:
        rules.check_options(new.options)
        tenant = self._directory.get_tenant(new.tenant_id)
        cell = self._directory.get_cell(new.destination)
        old = None if new.reverses is None else self._kept(new.reverses).move
        unfinished = [move.move_id for move in self._directory.unfinished_moves(new.tenant_id)]
        return rules.refusals(new, tenant, unfinished, cell, old, self._directory.taken(new.destination))

    def _take_way_back(self, old: KeptMove) -> None:
        now, phase = self._clock.now(), rules.after(old.move.phase, "reverse")
        old.move = replace(old.move, phase=phase, wish="run", paused=False, updated_at=now)
        old.phase_at, old.claim_after = now, None
        self._happened(old, "its way back is taken", {"event": "reverse"})

    def _insert(self, new: NewMove, source: str) -> Move:
        now = self._clock.now()
        planned = Move(
            move_id=rules.move_id(int(now.timestamp() * 1000), secrets.randbits(rules.RANDOM_BITS)),
            tenant_id=new.tenant_id,
            source=source,
            destination=new.destination,
            phase="PLANNED",
            paused=False,
            wish="run",
            token=0,
            owner="",
            attempt=1,
            epochs={},
            options=new.options,
            progress={},
            proof={},
            pause_ms=None,
            error="",
            reason=rules.clip(new.reason),
            reverses=new.reverses,
            created_at=now,
            updated_at=now,
            ended_at=None,
        )
        kept = self._directory.moves[planned.move_id] = KeptMove(planned, now)
        detail = {"event": "plan"} | ({} if new.reverses is None else {"reverses": new.reverses})
        self._happened(kept, planned.reason, detail)
        return planned

    async def move(self, move_id: str) -> Move:
        return self._shown(self._kept(move_id))

    async def moves(
        self,
        *,
        after: str = "",
        limit: int = 100,
        tenant_id: str | None = None,
        cell_id: str | None = None,
        unfinished: bool | None = None,
    ) -> Sequence[Move]:
        known = sorted(self._directory.moves.items())
        return [
            self._shown(kept)
            for move_id, kept in known
            if move_id > after
            and tenant_id in (None, kept.move.tenant_id)
            and cell_id in (None, kept.move.source, kept.move.destination)
            and unfinished in (None, kept.move.ended_at is None)
        ][:limit]

    async def latest(self, limit: int = 100) -> Sequence[Move]:
        known = sorted(self._directory.moves.items(), reverse=True)
        return [kept.move for _, kept in known if kept.move.pause_ms is not None][:limit]

    async def recent(self, seconds: float) -> Sequence[Passage]:
        since = self._clock.now() - timedelta(seconds=seconds)
        return [
            Passage(
                move.tenant_id, move.source, move.destination, move.phase, move.wish, move.ended_at is not None
            )
            for move in (kept.move for kept in self._directory.moves.values())
            if move.ended_at is None or (move.ended_at > since and move.phase != "ABORTED")
        ]

    async def flights(self) -> Mapping[str, int]:
        flying = [k.move for k in self._directory.moves.values() if k.move.phase not in rules.LANDED]
        return Counter(cell_id for move in flying for cell_id in (move.source, move.destination))

    async def by_phase(self) -> Sequence[PhaseCount]:
        phases: dict[MovePhase, list[KeptMove]] = {}
        for kept in self._directory.moves.values():
            if kept.move.ended_at is None:
                phases.setdefault(kept.move.phase, []).append(kept)
        return [self._counted(phase, found) for phase, found in phases.items()]

    def _counted(self, phase: MovePhase, found: Sequence[KeptMove]) -> PhaseCount:
        waits = [
            (self._clock.now() - kept.phase_at).total_seconds()
            for kept in found
            if not kept.move.paused
            and not (phase == "READY" and kept.move.options.hold and kept.move.wish != "switch")
        ]
        obstructed = sum(kept.move.error != "" for kept in found)
        return PhaseCount(phase, len(found), obstructed, max(waits, default=0.0))

    async def events(self, move_id: str, after: int = 0, limit: int = 1000) -> Sequence[MoveEvent]:
        return self._kept(move_id).events[after : after + limit]

    async def ask(self, move_id: str, wish: Wish) -> Move:
        return self.asked(move_id, wish)

    def asked(self, move_id: str, wish: Wish, why: str = "") -> Move:
        """As `ask`, in what is one step with something else."""
        kept = self._kept(move_id)
        asked = kept.move
        rules.check_wish(asked, wish)
        kept.move = replace(asked, wish=wish, paused=wish == "pause", updated_at=self._clock.now())
        kept.claim_after = None
        if wish != asked.wish:
            self._happened(kept, rules.wished(wish, why), {"event": "ask", "wish": wish})
        return kept.move

    # By whoever carries moves out

    async def claim(self, owner: str, lease_seconds: float, most_of_a_cell: int) -> Move | None:
        busy = self._busy(most_of_a_cell)
        free = [kept for kept in self._directory.moves.values() if self._claimable(kept, busy)]
        if not free:
            return None
        chosen = min(free, key=_order)
        now = self._clock.now()
        chosen.lease_until, chosen.claim_after = now + timedelta(seconds=lease_seconds), None
        chosen.move = replace(chosen.move, token=self._directory.next_epoch(), owner=owner, updated_at=now)
        return chosen.move

    def _busy(self, most_of_a_cell: int) -> set[str]:
        carried = [kept.move for kept in self._directory.moves.values() if self._is_carried(kept)]
        counts = Counter(cell_id for move in carried for cell_id in (move.source, move.destination))
        return {cell_id for cell_id, count in counts.items() if count >= most_of_a_cell}

    def _is_carried(self, kept: KeptMove) -> bool:
        leased = kept.lease_until is not None and kept.lease_until > self._clock.now()
        return leased and kept.move.ended_at is None

    def _claimable(self, kept: KeptMove, busy: set[str]) -> bool:
        move, now = kept.move, self._clock.now()
        if move.ended_at is not None or move.paused or self._is_carried(kept):
            return False
        if kept.claim_after is not None and kept.claim_after > now:
            return False
        if move.phase == "REVERSING" and self._reverse(move) is not None:
            return False
        return self._fits(move, busy)

    def _way_back_over(self, kept: KeptMove) -> bool:
        return kept.phase_at + timedelta(seconds=kept.move.options.reverse_seconds) <= self._clock.now()

    def _fits(self, move: Move, busy: set[str]) -> bool:
        return rules.is_urgent(move) or busy.isdisjoint((move.source, move.destination))

    async def renew(self, move_id: str, token: int, lease_seconds: float) -> Move:
        kept = self._held(move_id, token)
        now = self._clock.now()
        kept.lease_until = now + timedelta(seconds=lease_seconds)
        kept.move = replace(kept.move, updated_at=now)
        return kept.move

    async def let_go(self, move_id: str, token: int, wait_seconds: float, known: Wish | None = None) -> None:
        kept = self._held(move_id, token)
        now = self._clock.now()
        waits = wait_seconds if known in (None, kept.move.wish) and kept.move.phase != "REVERSING" else 0.0
        kept.lease_until, kept.claim_after = None, now + timedelta(seconds=waits) if waits else None
        kept.move = replace(kept.move, owner="", updated_at=now)
        self._free_switches(move_id)

    async def record(
        self, move_id: str, token: int, event: MoveStep, change: MoveChange = NOTHING, text: str = ""
    ) -> Move:
        kept = self._held(move_id, token)
        phase = rules.recorded(kept.move, event)
        if event == "clean":
            rules.check_way_back_over(kept.move, self._way_back_over(kept))
        if kept.move.phase == "REVERSING":
            rules.check_reverse_ended(kept.move, self._reverse(kept.move))
        return self._stepped(kept, event, phase, change, text)

    async def note(self, move_id: str, token: int, change: MoveChange) -> Move:
        return self._changed(self._held(move_id, token), change)

    async def take_switch(self, move_id: str, token: int, seconds: float) -> bool:
        move, now = self._held(move_id, token).move, self._clock.now()
        cells, switches = (move.source, move.destination), self._directory.switches
        taken = [switches[cell] for cell in cells if cell in switches]
        if any(other != move_id and until > now for other, until in taken):
            self._free_switches(move_id)
            return False
        switches.update(dict.fromkeys(cells, (move_id, now + timedelta(seconds=seconds))))
        return True

    async def forget_ended(self, kept_seconds: float, most: int) -> int:
        before = self._clock.now() - timedelta(seconds=kept_seconds)
        moves = [kept.move for kept in self._directory.moves.values()]
        reversed_moves = {move.reverses for move in moves}
        old = sorted(
            (move.ended_at, move.move_id)
            for move in moves
            if move.ended_at is not None and move.ended_at <= before and move.move_id not in reversed_moves
        )[:most]
        for _, move_id in old:
            del self._directory.moves[move_id]
        return len(old)

    async def missing_upgrade(self) -> int | None:
        return None

    async def fresh_epoch(self) -> int:
        return self._directory.next_epoch()

    async def commit(self, move_id: str, token: int, epoch: int) -> Move:
        return self._decide(move_id, token, epoch, "COMMIT")

    async def release(self, move_id: str, token: int, epoch: int) -> Move:
        return self._decide(move_id, token, epoch, "ABORT")

    def _decide(self, move_id: str, token: int, epoch: int, decision: Decision) -> Move:
        kept = self._held(move_id, token)
        known = kept.decisions.get(epoch)
        if known == decision:
            return kept.move
        if known is not None:
            raise Stale(f"move {move_id} has decided {known} about epoch {epoch} already")
        step, name = rules.DECIDING[decision]
        phase = rules.decided(kept.move, decision)
        cell_id, back = rules.place(kept.move, decision)
        fresh = self._directory.assign(kept.move.tenant_id, epoch, cell_id, back=back).epoch
        kept.decisions[epoch] = decision
        self._free_switches(move_id)
        return self._stepped(kept, step, phase, MoveChange(epochs={name: fresh}))

    # Inside

    def _kept(self, move_id: str) -> KeptMove:
        if move_id not in self._directory.moves:
            raise NotFound(f"no move {move_id}")
        return self._directory.moves[move_id]

    def _shown(self, kept: KeptMove) -> Move:
        """Whoever let the lease run out does not carry it any more."""
        return kept.move if self._is_carried(kept) else replace(kept.move, owner="")

    def _held(self, move_id: str, token: int) -> KeptMove:
        kept = self._kept(move_id)
        rules.check_token(kept.move, token)
        return kept

    def _reverse(self, move: Move) -> str | None:
        others = self._directory.unfinished_moves(move.tenant_id)
        under_way = (other for other in others if other.phase not in rules.BACK)
        return next((other.move_id for other in under_way if other.reverses == move.move_id), None)

    def _free_switches(self, move_id: str) -> None:
        switches = self._directory.switches
        for cell_id in [cell for cell, (holder, _) in switches.items() if holder == move_id]:
            del switches[cell_id]

    def _stepped(
        self, kept: KeptMove, step: MoveStep, phase: MovePhase, change: MoveChange, text: str = ""
    ) -> Move:
        self._changed(kept, change)
        now, attempt = self._clock.now(), kept.move.attempt + (step == "release")
        kept.move = replace(kept.move, phase=phase, attempt=attempt, updated_at=now)
        kept.phase_at = now
        if phase in rules.ENDED:
            kept.move, kept.lease_until = replace(kept.move, owner="", ended_at=now), None
            self._free_switches(kept.move.move_id)
        self._happened(kept, text, rules.detail(step, kept.move.token, rules.clipped(change)))
        return kept.move

    def _changed(self, kept: KeptMove, change: MoveChange) -> Move:
        move, change = kept.move, rules.clipped(change)
        kept.move = replace(
            move,
            epochs={**move.epochs, **_as_json(change.epochs)},
            progress={**move.progress, **_as_json(change.progress)},
            proof={**move.proof, **_as_json(change.proof)},
            pause_ms=move.pause_ms if change.pause_ms is None else change.pause_ms,
            error=move.error if change.error is None else change.error,
            updated_at=self._clock.now(),
        )
        return kept.move

    def _happened(self, kept: KeptMove, text: str, detail: Mapping[str, Any]) -> None:
        kept.events.append(
            MoveEvent(
                move_id=kept.move.move_id,
                number=len(kept.events) + 1,
                at=self._clock.now(),
                phase=kept.move.phase,
                text=rules.clip(text),
                detail=_as_json(detail),
            )
        )


def _order(kept: KeptMove) -> tuple[bool, int, str]:
    """In which moves are claimed."""
    move = kept.move
    return not rules.is_urgent(move), rules.CLAIMED_FIRST.index(move.phase), move.move_id


def _as_json(mapping: Mapping[str, Any] | None) -> dict[str, Any]:
    """As it comes back from a store that keeps JSON; what is none is refused here too."""
    told: dict[str, Any] = json.loads(json.dumps(dict(mapping or {}), allow_nan=False))
    return told
