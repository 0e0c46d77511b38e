"""The tables of a move's life, as data: what is not in them does not happen."""

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.errors import BadMove, NotAllowed, Stale
from directory.rules import moves
from directory.rules.moves import MoveStep
from directory.values import Move, MoveChange, MoveOptions, MovePhase, Wish
from tests.directory.moving import PATH, PHASES

STEPS: tuple[MoveStep, ...] = get_args(MoveStep)
WISHES: tuple[Wish, ...] = get_args(Wish)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)

TABLE = """
PLANNED      prepare PREPARED     abort ABORTING
PREPARED     capture CAPTURING    abort ABORTING
CAPTURING    copy COPYING         abort ABORTING
COPYING      catch_up CATCHING_UP copy_again COPYING  abort ABORTING
CATCHING_UP  verify VERIFYING     ready READY         copy_again COPYING   abort ABORTING
VERIFYING    ready READY          catch_up CATCHING_UP copy_again COPYING  abort ABORTING
READY        fence FENCING        catch_up CATCHING_UP abort ABORTING
FENCING      finalize FINALIZING  release CATCHING_UP
FINALIZING   commit COMMITTED     release CATCHING_UP
COMMITTED    activate ACTIVATED
ACTIVATED    drain DRAINING
DRAINING     keep REVERSIBLE
REVERSIBLE   clean CLEANING       reverse REVERSING
CLEANING     done DONE
DONE
ABORTING     aborted ABORTED
ABORTED
REVERSING    reversed REVERSED    keep REVERSIBLE
REVERSED
"""
ALLOWED = """
run     PLANNED PREPARED CAPTURING COPYING CATCHING_UP VERIFYING READY REVERSIBLE
pause   PLANNED PREPARED CAPTURING COPYING CATCHING_UP VERIFYING READY REVERSIBLE
switch  PLANNED PREPARED CAPTURING COPYING CATCHING_UP VERIFYING READY
cancel  PLANNED PREPARED CAPTURING COPYING CATCHING_UP VERIFYING READY FENCING FINALIZING ABORTING
confirm REVERSIBLE
"""


def a_move(phase: MovePhase = "PLANNED", wish: Wish = "run") -> Move:
    """Some move."""
    return Move(
        *("mv-1", "acme", "cell-1", "cell-2", phase, wish == "pause", wish, 7, "mover", 1),
        *({}, MoveOptions(), {}, {}, None, "", "", None, NOON, NOON, None),
    )


def _table() -> dict[tuple[str, str], str]:
    rows = (line.split() for line in TABLE.split("\n") if line)
    return {
        (phase, event): to for phase, *pairs in rows for event, to in zip(pairs[::2], pairs[1::2], strict=True)
    }


def test_the_table_of_phases_is_as_it_was_decided() -> None:
    """Every phase and event; all other pairs are refused."""
    assert _table() == moves.PHASES
    for phase, event in itertools.product(PHASES, STEPS):
        if (phase, event) not in moves.PHASES:
            with pytest.raises(NotAllowed, match=f"{event} is not possible while {phase}; possible: "):
                moves.after(phase, event)


def test_the_operators_page_has_the_same_table(project_root: Path) -> None:
    """Every phase with where it leads, and nothing else."""
    page = (project_root / "docs/operations/moving-tenants.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z_]+) \| [^|]+ \| ([^|]*) ?\|$", page, re.MULTILINE)
    assert [phase for phase, _ in rows] == list(PHASES)
    told = {(phase, event): to for phase, cell in rows for to, event in re.findall(r"([A-Z_]+) \(`(\w+)`\)", cell)}
    assert told == moves.PHASES


def test_from_every_phase_a_move_can_end_and_an_end_is_final() -> None:
    """Nothing gets stuck by its table, and nothing that ended begins again."""
    leads = {phase: {to for (at, _), to in moves.PHASES.items() if at == phase} for phase in PHASES}
    for phase in PHASES:
        reached = {phase}
        while more := {to for at in reached for to in leads[at]} - reached:
            reached |= more
        assert reached & moves.ENDED
        assert (phase in moves.ENDED) == (reached == {phase})


def test_nothing_leads_back_over_the_commit_point() -> None:
    """What is decided is decided: only another move goes the way back."""
    decided = set(PHASES) - set(moves.UNDECIDED) - {"ABORTING", "ABORTED"}
    assert {at for (at, _), to in moves.PHASES.items() if to in decided and at not in decided} == {"FINALIZING"}
    assert not any(at in decided and to not in decided for (at, _), to in moves.PHASES.items())


def test_every_event_is_on_some_way_and_the_straight_one_is_whole() -> None:
    """No word of the vocabulary is without a use."""
    assert {event for _, event in moves.PHASES} == set(STEPS)
    phase: MovePhase = "PLANNED"
    for event in PATH:
        phase = moves.after(phase, event)
    assert phase == "DONE"
    assert set(moves.CLAIMED_FIRST) == set(PHASES) - moves.ENDED


@pytest.mark.parametrize("wish", WISHES)
def test_wishes_are_possible_in_their_phases_alone(wish: Wish) -> None:
    """The refusal names what is possible instead."""
    said = "resume" if wish == "run" else wish
    allowed = {name: phases for name, *phases in (line.split() for line in ALLOWED.strip().split("\n"))}
    for phase in PHASES:
        if phase in allowed[wish]:
            moves.check_wish(a_move(phase), wish)
        else:
            with pytest.raises(NotAllowed, match=f"{said} is not possible while {phase}.*; possible: "):
                moves.check_wish(a_move(phase), wish)


@pytest.mark.parametrize("wish", sorted(set(WISHES) - {"cancel", "confirm"}))
def test_a_cancellation_is_not_taken_back(wish: Wish) -> None:
    """Whoever was promised it can rely on it; asking again is no mistake."""
    with pytest.raises(NotAllowed, match="is being cancelled"):
        moves.check_wish(a_move("READY", "cancel"), wish)
    moves.check_wish(a_move("READY", "cancel"), "cancel")


def test_nothing_is_fenced_or_committed_after_a_cancellation() -> None:
    """And nothing is fenced, nor the way back burned, while paused: nobody would come to go on."""
    for event, phase in (("fence", "READY"), ("clean", "REVERSIBLE")):
        with pytest.raises(NotAllowed, match="is paused"):
            moves.recorded(a_move(phase, "pause"), event)
    with pytest.raises(NotAllowed, match="is being cancelled"):
        moves.recorded(a_move("READY", "cancel"), "fence")
    with pytest.raises(NotAllowed, match="is being cancelled"):
        moves.decided(a_move("FINALIZING", "cancel"), "COMMIT")
    assert moves.decided(a_move("FINALIZING", "cancel"), "ABORT") == "CATCHING_UP"
    assert moves.recorded(a_move("READY", "pause"), "abort") == "ABORTING"


@pytest.mark.parametrize("event", sorted(moves.DECISIONS))
def test_what_has_an_effect_elsewhere_is_not_recorded_by_itself(event: MoveStep) -> None:
    """A decision without its re-assignment would be a lie."""
    for phase in PHASES:
        with pytest.raises(NotAllowed, match="together with its effect"):
            moves.recorded(a_move(phase), event)


@pytest.mark.parametrize("token", [0, 6, 8])
def test_another_token_is_stale_and_that_of_nobody_too(token: int) -> None:
    """A move that nobody has claimed is carried by nobody."""
    moves.check_token(a_move(), 7)
    for move in (a_move(), replace(a_move(), token=0)):
        with pytest.raises(Stale, match="token"):
            moves.check_token(move, token)


@given(st.lists(st.tuples(st.integers(0, 2**45), st.integers(0, 2**50 - 1)), min_size=2))
def test_ids_sort_by_their_time(made: list[tuple[int, int]]) -> None:
    """The first ten characters are time; two of one moment differ by chance."""
    ids = [moves.move_id(*parts) for parts in made]
    assert all(len(name) == 23 and set(name[3:]) <= set("0123456789abcdefghjkmnpqrstvwxyz") for name in ids)
    assert sorted(ids) == [moves.move_id(*parts) for parts in sorted(made)]
    assert len(set(ids)) == len(set(made))


@pytest.mark.parametrize(
    "options",
    [
        *(MoveOptions(reverse_seconds=seconds) for seconds in (-1, float("nan"), float("inf"), 1e9)),
        *(MoveOptions(pause_budget_ms=ms) for ms in (0, -1, 1001, float("nan"))),
        *(MoveOptions(most_pause_ms=ms) for ms in (0, 1e6, float("inf"), float("nan"))),
    ],
)
def test_senseless_options_are_refused(options: MoveOptions) -> None:
    """NaN is within no limits."""
    with pytest.raises(BadMove):
        moves.check_options(options)
    assert moves.check_options(MoveOptions(reverse_seconds=0)).reverse_seconds == 0


def test_texts_are_kept_to_a_bounded_length() -> None:
    """Also one that somebody's exception made long, or put a NUL into."""
    assert moves.clip("a\0b" + "c" * 9999) == "ab" + "c" * (moves.MOST_TEXT - 2)
    change = moves.clipped(MoveChange(error="e" * 9999, pause_ms=1.0))
    assert (len(change.error or ""), change.pause_ms) == (moves.MOST_TEXT, 1.0)
