"""A move's protocol without databases: fences, a log, two movers, stale routers, writers in both isolation levels.

The state is a frozen value; `steps` gives every next one, each part acting by itself and dying at any moment. What
must hold is in `violation`. Nothing here knows how it is implemented: what is looked at is whether the order of
the steps is enough. Mutants leave one precaution out, and each must be refuted (`test_model`).

One tenant; its writes are numbered. A write is begun at a cell (under the fence as its check sees it) and
committed later, or refused. A mover copies at a snapshot, steps, fences, steps for the last time, commits in the
directory, and activates. A second mover may take over at any time; the first one then is a zombie that goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

Cell = Literal["source", "destination"]
Fence = tuple[int, str]
MOST_WRITES = 2
MOST_EPOCH = 6


@dataclass(frozen=True, slots=True)
class Mutant:
    """Which precaution is left out."""

    lifts_by_time: bool = False
    """The source's fence opens by itself after a while."""
    snapshot_before_drained: bool = False
    """The last step's snapshot is taken before the writers under the old fence have ended."""
    same_epoch: bool = False
    """A switch that was given up gives the tenant no fresh epoch: the source is opened at the one that it had."""
    log_by_sequence: bool = False
    """The log is read after the highest number seen, not between snapshots."""
    plain_read: bool = False
    """Writers with an old snapshot read the fence in it, and nothing makes them fail."""
    early_activation: bool = False
    """The destination is opened before the directory has decided."""
    early_clean_up: bool = False
    """The source's rows are removed while the tenant may still come back to it."""
    fences_at_once: bool = False
    """The source is fenced without waiting for its writers, as it is opened."""
    no_tokens: bool = False
    """A mover that was succeeded is not refused."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A transaction under way that the fence has admitted: its write, where, at which epoch."""

    number: int
    cell: Cell
    epoch: int
    logged_at: int
    """The place in the log that it was given; -1: not captured."""
    old_snapshot: bool


@dataclass(frozen=True, slots=True)
class Mover:
    """Where it is, and what it keeps in its head."""

    token: int
    phase: str
    seen: frozenset[int] = frozenset()
    """Log entries that it has brought along."""
    cursor: int = -1
    """For the mutant that reads by sequence."""
    snapshot: frozenset[int] | None = None
    """Writes that the last step's snapshot sees, once it was taken."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything."""

    directory: tuple[Cell, int] = ("source", 1)
    next_epoch: int = 2
    source: Fence = (1, "active")
    destination: Fence = (0, "importing")
    source_rows: frozenset[int] = frozenset()
    destination_rows: frozenset[int] = frozenset()
    log: tuple[int, ...] = ()
    """Writes by their place in the log; a place is given when it is logged, and seen once its writer commits."""
    captured: bool = False
    router: tuple[Cell, int] = ("source", 1)
    writers: frozenset[Writer] = frozenset()
    begun: int = 0
    acknowledged: frozenset[int] = frozenset()
    latest_token: int = 1
    movers: tuple[Mover, ...] = (Mover(1, "capture"),)
    decision: str = ""
    commit_epoch: int = 0
    in_flight: frozenset[tuple[int, int]] = frozenset()
    """Commits that were sent, and may arrive at any time: (token, the assignment's epoch that is expected)."""
    way_back: bool = True


def fence_of(state: State, cell: Cell) -> Fence:
    """That of a cell."""
    return state.source if cell == "source" else state.destination


def violation(state: State) -> str | None:
    """What is wrong, if anything is."""
    if state.source[1] == "active" and state.destination[1] == "active":
        return "two cells may write"
    home, epoch = state.directory
    rows = state.source_rows if home == "source" else state.destination_rows
    if fence_of(state, home) == (epoch, "active") and not state.acknowledged <= rows:
        return f"lost {sorted(state.acknowledged - rows)}"
    if state.way_back and state.decision == "" and not state.acknowledged <= state.source_rows:
        return "nothing is left to go back to"
    return None


def steps(state: State, mutant: Mutant) -> Iterator[tuple[str, State]]:
    """Every next state, with a word on how it came about."""
    yield from _writers(state, mutant)
    yield from _router(state)
    for index, mover in enumerate(state.movers):
        if mover.token == state.latest_token or mutant.no_tokens:
            for said, after, moved in _mover(state, mover, mutant):
                movers = (*after.movers[:index], moved, *after.movers[index + 1 :])
                yield f"mover {mover.token}: {said}", replace(after, movers=movers)
    yield from _arriving(state, mutant)
    if len(state.movers) == 1 and state.movers[0].phase != "done":
        yield "another mover takes over", _taken_over(state)
    if mutant.lifts_by_time and state.source[1] == "fenced":
        yield "the fence lifts", replace(state, source=(state.source[0], "active"))


# Writers and routers


def _writers(state: State, mutant: Mutant) -> Iterator[tuple[str, State]]:
    if state.begun < MOST_WRITES:
        for old in (False, True):
            if (begun := _begin(state, state.router, old)) is not None:
                yield f"write {state.begun} begins{' with an old snapshot' if old else ''}", begun
    for writer in state.writers:
        others = state.writers - {writer}
        yield f"write {writer.number} commits", _committed(state, writer, others)
        yield f"write {writer.number} is rolled back", replace(state, writers=others)


def _begin(state: State, at: tuple[Cell, int], old: bool) -> State | None:
    """Admitted by the fence as it is: the check and the shared lock come together."""
    cell, epoch = at
    if fence_of(state, cell) != (epoch, "active"):
        return None
    captured = cell == "source" and state.captured
    place = len(state.log) if captured else -1
    log = (*state.log, state.begun) if captured else state.log
    writer = Writer(state.begun, cell, epoch, place, old)
    return replace(state, writers=state.writers | {writer}, begun=state.begun + 1, log=log)


def _committed(state: State, writer: Writer, others: frozenset[Writer]) -> State:
    acknowledged = state.acknowledged | {writer.number}
    if writer.cell == "source":
        rows = state.source_rows | {writer.number}
        return replace(state, writers=others, source_rows=rows, acknowledged=acknowledged)
    rows = state.destination_rows | {writer.number}
    return replace(state, writers=others, destination_rows=rows, acknowledged=acknowledged)


def _router(state: State) -> Iterator[tuple[str, State]]:
    if state.router != state.directory:
        yield "the router hears", replace(state, router=state.directory)


def _waits(state: State, cell: Cell, mutant: Mutant) -> bool:
    """Whether capturing or fencing there has to wait for writers: who was admitted commits, whatever comes then.

    An old snapshot without its own lock is not waited for. Opening waits for nobody: see `_release`.
    """
    return any(writer.cell == cell and not (mutant.plain_read and writer.old_snapshot) for writer in state.writers)


# Movers


def _taken_over(state: State) -> State:
    """The successor knows what the directory and the databases know: it begins with the phase that is recorded."""
    old = state.movers[0]
    token = state.latest_token + 1
    phase = {"last": "release", "commit": "release", "sent": "release"}.get(old.phase, old.phase)
    new = replace(old, token=token, phase=phase, snapshot=None)
    return replace(state, latest_token=token, movers=(*state.movers, new))


Moved = tuple[str, State, Mover]


def _mover(state: State, mover: Mover, mutant: Mutant) -> Iterator[Moved]:
    match mover.phase:
        case "capture":
            if not _waits(state, "source", mutant):
                yield "captures", replace(state, captured=True), replace(mover, phase="copy")
        case "copy":
            brought = replace(mover, phase="step", seen=frozenset(), cursor=len(_visible(state)) - 1)
            yield "copies", replace(state, destination_rows=state.source_rows), brought
        case "step":
            stepped, moved = _step(state, mover, mutant)
            yield "steps", stepped, replace(moved, phase="fence")
        case "fence":
            yield from _fence(state, mover, mutant)
        case "last":
            yield from _last(state, mover, mutant)
        case "commit":
            yield from _commit(state, mover, mutant)
        case "sent":
            if state.decision == "commit":
                yield "hears of the commit", state, replace(mover, phase="activate")
            yield "gives up waiting", state, replace(mover, phase="release")
        case "release":
            yield from _release(state, mover, mutant)
        case "activate":
            if state.destination[0] < state.commit_epoch:
                opened = replace(state, destination=(state.commit_epoch, "active"))
                yield "activates", opened, replace(mover, phase="clean")
            else:
                yield "finds it active", state, replace(mover, phase="clean")
        case "clean":
            if state.source[0] < state.commit_epoch:
                moved_away = replace(state, source=(state.commit_epoch, "moved"), way_back=False)
                yield "closes the way back", moved_away, replace(mover, phase="clean")
            else:
                yield "cleans up", replace(state, source_rows=frozenset()), replace(mover, phase="done")


def _visible(state: State) -> list[int]:
    """Places in the log whose writers have committed."""
    return [place for place, number in enumerate(state.log) if number in state.source_rows]


def _step(state: State, mover: Mover, mutant: Mutant) -> tuple[State, Mover]:
    visible = _visible(state)
    if mutant.log_by_sequence:
        found = [place for place in visible if place > mover.cursor]
        cursor = max(visible, default=mover.cursor)
        rows = state.destination_rows | {state.log[place] for place in found}
        return replace(state, destination_rows=rows), replace(mover, cursor=max(cursor, mover.cursor))
    new = frozenset(visible) - mover.seen
    rows = state.destination_rows | {state.log[place] for place in new}
    return replace(state, destination_rows=rows), replace(mover, seen=mover.seen | new)


def _fence(state: State, mover: Mover, mutant: Mutant) -> Iterator[Moved]:
    if state.next_epoch >= MOST_EPOCH:
        return
    if mutant.snapshot_before_drained and mover.snapshot is None:
        yield "takes the last snapshot", state, replace(mover, snapshot=frozenset(_visible(state)))
        return
    if state.source[1] == "active" and (mutant.fences_at_once or not _waits(state, "source", mutant)):
        epoch = state.next_epoch
        fenced = replace(state, source=(epoch, "fenced"), next_epoch=epoch + 1)
        yield "fences", fenced, replace(mover, phase="last")
    if state.source[1] == "active":
        yield "gives up waiting for writers", state, replace(mover, phase="release")


def _last(state: State, mover: Mover, mutant: Mutant) -> Iterator[Moved]:
    if mutant.snapshot_before_drained and mover.snapshot is not None:
        rows = state.destination_rows | {state.log[place] for place in mover.snapshot}
        yield "steps for the last time", replace(state, destination_rows=rows), replace(mover, phase="commit")
        return
    if mutant.early_clean_up:
        yield "cleans up", replace(state, source_rows=frozenset()), mover
    stepped, moved = _step(state, mover, mutant)
    if mutant.early_activation:
        stepped = replace(stepped, destination=(state.next_epoch, "active"))
    yield "steps for the last time", stepped, replace(moved, phase="commit")
    yield "takes too long", state, replace(mover, phase="release")


def _commit(state: State, mover: Mover, mutant: Mutant) -> Iterator[Moved]:
    yield "takes too long", state, replace(mover, phase="release")
    sent = state.in_flight | {(mover.token, state.directory[1])}
    yield "sends the commit", replace(state, in_flight=sent), replace(mover, phase="sent")


def _arriving(state: State, mutant: Mutant) -> Iterator[tuple[str, State]]:
    """A compare-and-set in the directory, by token and epoch."""
    for token, expected in state.in_flight:
        rest = replace(state, in_flight=state.in_flight - {(token, expected)})
        known = token == state.latest_token or mutant.no_tokens
        if known and state.directory == ("source", expected) and state.next_epoch < MOST_EPOCH:
            epoch = state.next_epoch
            yield (
                "the commit arrives",
                replace(
                    *(rest,),
                    directory=("destination", epoch),
                    decision="commit",
                    commit_epoch=epoch,
                    next_epoch=epoch + 1,
                ),
            )
        else:
            yield "the commit is refused", rest


def _release(state: State, mover: Mover, mutant: Mutant) -> Iterator[Moved]:
    """The source is opened whoever writes there: who was admitted before goes on; the next fence waits for it."""
    if state.decision == "commit":
        yield "finds it committed", state, replace(mover, phase="activate")
    elif mutant.same_epoch:
        opened = replace(state, source=(state.directory[1], "active"))
        yield "opens the source", opened, replace(mover, phase="step", snapshot=None)
    elif state.next_epoch < MOST_EPOCH:
        epoch = state.next_epoch
        released = replace(state, directory=("source", epoch), source=(epoch, "active"), next_epoch=epoch + 1)
        yield "decides against it", released, replace(mover, phase="step", snapshot=None)
