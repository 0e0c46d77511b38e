"""The life of a move, as tables: phase × event → phase, and which wishes an operator has in which phase.

Rules:

- A phase is recorded before its work begins, so whoever finds a move does that work, again if need be.
- Before FINALIZING is decided everything can be undone. About each epoch that a tenant has there is one decision,
  COMMIT (event `commit`) or ABORT (`release`). After COMMIT a move only goes forward, or back by another one.
- A cancellation that was accepted is kept: nothing is committed after it.
- The move whose way back is taken waits, as REVERSING, until that other one has ended.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, get_args

from directory.errors import BadMove, NotAllowed, Stale
from directory.rules import states
from directory.rules.capacities import capped, misfit, over_cap
from directory.values import Cell, CellState, Move, MoveChange, MoveOptions, MovePhase, NewMove, Tenant, Wish

MoveStep = Literal[
    "prepare", "capture", "copy", "catch_up", "verify", "ready", "fence", "finalize", "commit", "release",
    "activate", "drain", "keep", "clean", "done", "copy_again", "abort", "aborted", "reverse", "reversed",
]  # fmt: skip
Decision = Literal["COMMIT", "ABORT"]

BEFORE_FENCING: tuple[MovePhase, ...] = (
    "PLANNED", "PREPARED", "CAPTURING", "COPYING", "CATCHING_UP", "VERIFYING", "READY",
)  # fmt: skip
UNDECIDED: tuple[MovePhase, ...] = (*BEFORE_FENCING, "FENCING", "FINALIZING")
"""Nothing is committed yet: the tenant lives in the source."""
ENDED: frozenset[MovePhase] = frozenset(("DONE", "ABORTED", "REVERSED"))
LANDED: tuple[MovePhase, ...] = ("REVERSIBLE", "REVERSING", "CLEANING", "DONE", "ABORTED", "REVERSED")
"""Nothing is in flight: what is left to do is tidying up, or another move's."""
URGENT: tuple[MovePhase, ...] = ("ACTIVATED", "COMMITTED", "FINALIZING", "FENCING")
"""Somebody waits for the tenant: such a move is claimed first, however many of its cells are being carried."""
REOPENING: tuple[MovePhase, ...] = ("CATCHING_UP", "ABORTING")
"""What a move goes on with when its switch was decided against. Until whoever carries it says that the source is
open (epoch `opened` is epoch `released`), somebody waits for that too."""
BACK: tuple[MovePhase, ...] = ("REVERSIBLE", "REVERSING", "CLEANING")
"""A reverse in one of these has brought the tenant back: what it reversed has nothing more to wait for."""
CLAIMED_FIRST: tuple[MovePhase, ...] = (
    *URGENT,
    "REVERSING", "CLEANING", "REVERSIBLE", "DRAINING", "ABORTING",
    *reversed(BEFORE_FENCING),
)  # fmt: skip
"""Then those nearest to their end: what is begun is finished before more is begun."""

PHASES: Mapping[tuple[MovePhase, MoveStep], MovePhase] = {
    ("PLANNED", "prepare"): "PREPARED",
    ("PREPARED", "capture"): "CAPTURING",
    ("CAPTURING", "copy"): "COPYING",
    ("COPYING", "catch_up"): "CATCHING_UP",
    ("CATCHING_UP", "verify"): "VERIFYING",
    ("CATCHING_UP", "ready"): "READY",  # verifying is an option, and a switch is tried again without it
    ("VERIFYING", "ready"): "READY",
    ("READY", "fence"): "FENCING",
    ("FENCING", "finalize"): "FINALIZING",
    ("FINALIZING", "commit"): "COMMITTED",
    ("COMMITTED", "activate"): "ACTIVATED",
    ("ACTIVATED", "drain"): "DRAINING",
    ("DRAINING", "keep"): "REVERSIBLE",
    ("REVERSIBLE", "clean"): "CLEANING",
    ("CLEANING", "done"): "DONE",
    # The switch took too long: the source has the tenant again, at a fresh epoch.
    ("FENCING", "release"): "CATCHING_UP",
    ("FINALIZING", "release"): "CATCHING_UP",
    # The difference grew, or was not what it should be.
    ("VERIFYING", "catch_up"): "CATCHING_UP",
    ("READY", "catch_up"): "CATCHING_UP",
    # What was copied has no snapshot any more to go on from.
    ("COPYING", "copy_again"): "COPYING",
    ("CATCHING_UP", "copy_again"): "COPYING",
    ("VERIFYING", "copy_again"): "COPYING",
    **{(phase, "abort"): "ABORTING" for phase in BEFORE_FENCING},
    ("ABORTING", "aborted"): "ABORTED",
    ("REVERSIBLE", "reverse"): "REVERSING",
    ("REVERSING", "reversed"): "REVERSED",
    ("REVERSING", "keep"): "REVERSIBLE",  # the way back was not taken after all
}
DECISIONS: frozenset[MoveStep] = frozenset(("commit", "release", "reverse"))
"""What is recorded only together with its effect on assignments or on another move."""
DECIDING: Mapping[Decision, tuple[MoveStep, str]] = {
    "COMMIT": ("commit", "commit"),
    "ABORT": ("release", "released"),
}
"""The event of each decision, and what its epoch is called."""
WAIT_WHEN_PAUSED: frozenset[MoveStep] = frozenset(("fence", "clean"))
"""A paused move is claimed by nobody, so it must not stand where a tenant waits, nor burn the way back."""

WISHES: Mapping[Wish, frozenset[MovePhase]] = {
    "run": frozenset((*BEFORE_FENCING, "REVERSIBLE")),
    "pause": frozenset((*BEFORE_FENCING, "REVERSIBLE")),
    "switch": frozenset(BEFORE_FENCING),
    # While being decided, it is carried out after the release.
    "cancel": frozenset((*UNDECIDED, "ABORTING")),
    "confirm": frozenset(("REVERSIBLE",)),
}
WAY_BACK_CLOSED: frozenset[CellState] = frozenset(("joining", "failed", "retired"))
"""A cell takes back whom it gave away, whether it takes others or not; but for these."""

MOST_REVERSE_SECONDS = 90 * 86400.0
MOST_PAUSE_MS = 60_000.0
MOST_TEXT = 2000
"""Characters of an error, a reason or an event's text that are kept."""

# Crockford's alphabet: in the order of ASCII, and without letters that look like others.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
TIME_BITS = RANDOM_BITS = 50
MOVE_ID = f"^mv-[{_ALPHABET}]{{20}}$"


def move_id(milliseconds: int, random_bits: int) -> str:
    """`mv-` and 20 characters: 50 bits of time (since 1970), then 50 of chance. So they sort by time."""
    number = (milliseconds % 2**TIME_BITS) << RANDOM_BITS | random_bits % 2**RANDOM_BITS
    return "mv-" + "".join(_ALPHABET[number >> shift & 31] for shift in range(95, -1, -5))


def is_urgent(move: Move) -> bool:
    """Whether its tenant may be unable to write until it is carried on."""
    return move.phase in URGENT or is_to_be_reopened(move)


def is_to_be_reopened(move: Move) -> bool:
    """Whether its source may still have to be opened after a switch that was decided against."""
    return move.phase in REOPENING and move.epochs.get("released") != move.epochs.get("opened")


def after(phase: MovePhase, step: MoveStep) -> MovePhase:
    """The next phase; NotAllowed says what would be possible."""
    return states.after(PHASES, phase, step)


def recorded(move: Move, step: MoveStep) -> MovePhase:
    """The next phase by an event with no effect but this; NotAllowed, also when an operator wishes otherwise."""
    if step in DECISIONS:
        raise NotAllowed(f"{step} is decided together with its effect, and not recorded by itself")
    phase = after(move.phase, step)
    if step == "fence":
        check_not_cancelled(move)
    if move.paused and step in WAIT_WHEN_PAUSED:
        raise NotAllowed(f"{step} is not possible: move {move.move_id} is paused")
    return phase


def decided(move: Move, decision: Decision) -> MovePhase:
    """The phase after a decision; NotAllowed, also for a COMMIT after an operator was promised that none comes."""
    phase = after(move.phase, DECIDING[decision][0])
    if decision == "COMMIT":
        check_not_cancelled(move)
    return phase


def place(move: Move, decision: Decision) -> tuple[str, bool]:
    """The cell in which the tenant is from then on, and whether that cell takes it back."""
    return (move.destination, move.reverses is not None) if decision == "COMMIT" else (move.source, False)


def check_token(move: Move, token: int) -> None:
    """Stale for whoever does not carry the move any more."""
    if move.token != token or not token:
        raise Stale(f"move {move.move_id} is carried at token {move.token}, not {token}")


def check_wish(move: Move, wish: Wish) -> None:
    """NotAllowed with the reason, and with what is possible."""
    if move.phase not in WISHES[wish]:
        possible = ", ".join(_said(name) for name in get_args(Wish) if move.phase in WISHES[name]) or "nothing"
        raise NotAllowed(f"{_said(wish)} is not possible while {move.phase}{_why(wish)}; possible: {possible}")
    if move.wish == "cancel" and wish != "cancel":
        raise NotAllowed(
            f"{_said(wish)} is not possible: move {move.move_id} is being cancelled; possible: cancel"
        )


def wished(wish: Wish, why: str = "") -> str:
    """What the event of a wish says."""
    return f"asked to {wish}: {why}" if why else f"asked to {wish}"


def _said(wish: Wish) -> str:
    """As operators say it."""
    return "resume" if wish == "run" else wish


def _why(wish: Wish) -> str:
    if wish == "cancel":
        return " (a move that is committed is undone by reversing it)"
    return " (there is nothing to confirm but the end of the way back)" if wish == "confirm" else ""


def check_options(options: MoveOptions) -> MoveOptions:
    """The options themselves; BadMove when nothing can be carried out so. NaN is within nothing."""
    if not 0 <= options.reverse_seconds <= MOST_REVERSE_SECONDS:
        raise BadMove(f"the way back is kept for 0 to {MOST_REVERSE_SECONDS:,.0f} seconds")
    if not 0 < options.pause_budget_ms <= options.most_pause_ms <= MOST_PAUSE_MS:
        raise BadMove(
            f"pauses have more than 0 and at most {MOST_PAUSE_MS:,.0f} ms, the budget no more than the most"
        )
    return options


def check_movable(new: NewMove, tenant: Tenant) -> str:
    """The cell that it would leave; NotAllowed for a tenant that is deleted, or is there already."""
    if tenant.state == "deleted" or tenant.assignment is None:
        raise NotAllowed(f"tenant {new.tenant_id} is deleted: it does not move any more")
    source = tenant.assignment.cell_id
    if source == new.destination:
        raise NotAllowed(f"tenant {new.tenant_id} lives in cell {source} already; choose another cell")
    return source


def refusals(
    new: NewMove,
    tenant: Tenant,
    unfinished: Iterable[str],
    cell: Cell,
    old: Move | None,
    taken: Sequence[float],
) -> list[NotAllowed]:
    """Everything that keeps a move from being planned; empty: nothing does.

    `unfinished` are the tenant's moves, `old` is the one whose way back is asked for; `cell` is the destination,
    and `taken` what of its caps is. Who goes back has its rows there still, and is compared with nothing.
    """
    others = [move_id for move_id in unfinished if move_id != new.reverses]
    checks: list[Callable[[], object]] = [partial(check_free, new.tenant_id, others)]
    if old is not None:
        checks.append(partial(check_way_back, new, old, cell.state))
    checks.append(partial(check_movable, new, tenant))
    home = None if tenant.assignment is None else tenant.assignment.cell_id
    if old is None and home != new.destination:
        checks += [partial(check_destination, cell), partial(check_fit, cell, tenant)]
        if cell.free_tenants:
            checks.append(partial(check_caps, cell, taken, tenant))
    found = []
    for check in checks:
        try:
            check()
        except NotAllowed as refusal:
            found.append(refusal)
    return found


def check_free(tenant_id: str, unfinished: Iterable[str]) -> None:
    """NotAllowed when another move of the tenant is not finished."""
    for other in unfinished:
        raise NotAllowed(f"tenant {tenant_id} has an unfinished move: {other}; let it end, confirm or cancel it")


def check_destination(cell: Cell) -> None:
    """NotAllowed for a cell that takes nobody."""
    if cell.state != "open":
        raise NotAllowed(f"cell {cell.cell_id} is {cell.state}: only an open cell takes tenants; choose another")
    if not cell.free_tenants:
        raise NotAllowed(f"cell {cell.cell_id} is full; give it more capacity, or choose another")


def check_fit(cell: Cell, tenant: Tenant) -> None:
    """NotAllowed for a cell in which the tenant may not live."""
    if (why := misfit(cell, tenant)) is not None:
        raise NotAllowed(f"tenant {tenant.tenant_id} may not live there: {why}; choose another")


def refusal_for_good(cell: Cell, tenant: Tenant) -> str | None:
    """Why the cell does not take the tenant until somebody changes either; None: it would. As `take_place`."""
    if cell.state != "open":
        return f"cell {cell.cell_id} is {cell.state} and takes nobody"
    why = misfit(cell, tenant)
    return None if why is None else f"tenant {tenant.tenant_id} may not live there: {why}"


def commit_refusal(move: Move, cell: Cell, tenant: Tenant) -> str | None:
    """Why its commit would be refused if it came now; None: it would not. `cell` is the destination."""
    if move.reverses is not None:
        closed = cell.state in WAY_BACK_CLOSED
        return f"cell {cell.cell_id} is {cell.state} and takes nobody back" if closed else None
    return refusal_for_good(cell, tenant) or (None if cell.free_tenants else f"cell {cell.cell_id} is full")


def check_caps(cell: Cell, taken: Sequence[float], tenant: Tenant) -> None:
    """NotAllowed for a cell that would take more along than it may when it is lost."""
    if (why := over_cap(cell, taken, capped(tenant))) is not None:
        raise NotAllowed(
            f"tenant {tenant.tenant_id} is too much for its caps: {why}; raise them, or choose another"
        )


def check_way_back(new: NewMove, old: Move, state: CellState) -> None:
    """NotAllowed when `new` does not go the way back of `old`, or that way is closed."""
    if (new.tenant_id, new.destination) != (old.tenant_id, old.source):
        raise NotAllowed(f"the way back of move {old.move_id} is tenant {old.tenant_id} to cell {old.source}")
    after(old.phase, "reverse")
    if state in WAY_BACK_CLOSED:
        raise NotAllowed(f"cell {old.source} is {state}: it takes nobody back")


def check_reverse_ended(move: Move, reverse: str | None) -> None:
    """NotAllowed while its way back is being taken by `reverse`."""
    if reverse is not None:
        raise NotAllowed(f"move {move.move_id} waits for {reverse}, which takes its way back")


def check_way_back_over(move: Move, over: bool) -> None:
    """NotAllowed while somebody may still want the tenant back. `over`: the time for it is."""
    if not over and move.wish != "confirm":
        raise NotAllowed(f"the way back of move {move.move_id} is still kept; possible: confirm")


def check_not_cancelled(move: Move) -> None:
    """NotAllowed when an operator was promised that nothing gets committed."""
    if move.wish == "cancel":
        raise NotAllowed(f"move {move.move_id} is being cancelled")


def check_deletable(unfinished: Iterable[tuple[str, MovePhase]]) -> None:
    """NotAllowed while a move (its id and phase) has not decided in which cell there is something to delete."""
    for name, phase in unfinished:
        if phase in UNDECIDED or phase == "ABORTING":
            raise NotAllowed(f"delete is not possible while the tenant moves: cancel move {name} first")


def clipped(change: MoveChange) -> MoveChange:
    """With an error that can be kept."""
    return change if change.error is None else replace(change, error=clip(change.error))


def clip(text: str) -> str:
    """What is kept of a text: a bounded length, and no NUL, which Postgres does not know."""
    return text.replace("\0", "")[:MOST_TEXT]


def detail(step: MoveStep, token: int, change: MoveChange) -> dict[str, Any]:
    """What an event keeps beside the phase: who did it, and what changed."""
    changed = {"epochs": change.epochs, "progress": change.progress, "proof": change.proof}
    told = {name: dict(value) for name, value in changed.items() if value is not None}
    rest = {"pause_ms": change.pause_ms, "error": change.error}
    return {
        "event": step,
        "token": token,
        **told,
        **{name: value for name, value in rest.items() if value is not None},
    }
