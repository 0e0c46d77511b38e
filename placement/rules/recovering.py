"""What a cell that is down, or was given up for now, needs to come back, and what is lost if it does not. Pure.

A failed cell's tenants are not moved: their rows are in that cell alone, so elsewhere they would begin with
nothing, and a cell that was believed dead in error would still write. So the cell itself has to come back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from directory.rules.moves import BEFORE_FENCING, UNDECIDED
from directory.values import Cell, Move, MovePhase

Direction = Literal["leaves", "arrives"]


@dataclass(frozen=True, slots=True)
class Advice:
    """What becomes of an unfinished move from or to the cell. `commands`: what an operator may do about it."""

    move_id: str
    tenant_id: str
    direction: Direction
    other_cell: str
    phase: MovePhase
    text: str
    commands: tuple[str, ...] = ()


def advice(move: Move, cell_id: str) -> Advice:
    """About a move that has not ended."""
    direction: Direction = "leaves" if move.source == cell_id else "arrives"
    other = move.destination if direction == "leaves" else move.source
    text, commands = (_leaving if direction == "leaves" else _arriving)(move)
    return Advice(move.move_id, move.tenant_id, direction, other, move.phase, text, commands)


def _leaving(move: Move) -> tuple[str, tuple[str, ...]]:
    tenant, there = move.tenant_id, move.destination
    if move.phase in UNDECIDED:
        waits = f"{tenant} still lives here: the move waits, and goes on once the cell is back"
        return f"{waits}; what is copied to {there} is not whole, and replaces nothing", (_say("cancel", move),)
    if move.phase == "ABORTING":
        return f"{tenant} lives here; the move is being undone, and ends once the cell is back", ()
    if move.phase == "REVERSING":
        return f"{tenant} is on its way back here by another move: see that one", ()
    safe = f"{tenant} lives in {there}, with all that it wrote: nothing of it is lost"
    if move.phase == "REVERSIBLE":
        return f"{safe}; the way back is closed, and the move ends once the cell is back and was cleaned", ()
    return f"{safe}; the move goes on once the cell is back", ()


def _arriving(move: Move) -> tuple[str, tuple[str, ...]]:
    tenant, there = move.tenant_id, move.source
    served = f"{tenant} lives in {there} and is served there: nothing is lost"
    if move.phase in BEFORE_FENCING:
        return f"{served}; the move waits for this cell: undo it, or wait", (_say("cancel", move),)
    if move.phase in UNDECIDED:
        text = f"{tenant} lives in {there}; its switch is being decided, and is given up when this cell is silent"
        return f"{text}: look again in a minute", (_say("cancel", move),)
    if move.phase == "ABORTING":
        return f"{served}; the move is being undone, and ends once the cell is back", ()
    if move.phase == "REVERSIBLE":
        text = (
            f"{tenant} lives here; {there} still has its rows as they were at the switch: pausing the move keeps"
        )
        return f"{text} them beyond its window, as a last copy", (_say("pause", move),)
    if move.phase == "REVERSING":
        return f"{tenant} is on its way back to {there} by another move: see that one", ()
    return f"{tenant} lives here: it waits for the cell like all who live here", ()


def _say(verb: str, move: Move) -> str:
    return f"cellway moves {verb} {move.move_id}"


def steps(cell: Cell) -> tuple[str, ...]:
    """How the cell is brought back, in order; empty for one that is retired."""
    if cell.state == "retired":
        return ()
    name = cell.cell_id
    back = (
        "start its servers under the name and region that it had: the database, then Redis, API and workers; "
        f"when its database is lost, restore the latest backup of it first, and run cellway restored cell {name}",
        f"where it answers elsewhere now, say so: cellway cells update {name} --address … --control-address …",
        "see whether it is whole: cellway doctor; it names the tenants about which the cell and the directory "
        "disagree, such as those of whom a backup has nothing",
    )
    if cell.state != "failed":
        return back
    return (
        *back,
        f"take it back, without new tenants: cellway cells cordon {name}",
        f"let it take new ones too: cellway cells open {name}; or empty it: cellway cells drain {name}",
    )


def lost(cell: Cell, moves: Sequence[Advice]) -> str:
    """What is lost if the cell does not come back."""
    if not cell.tenants:
        return "nothing: nobody lives there" + ("; but moves wait for it" if moves else "")
    copies = sum(one.direction == "arrives" and one.phase == "REVERSIBLE" for one in moves)
    kept = f"; of {copies} the cell that they left still has the rows of before their move" if copies else ""
    return (
        f"all that its tenants ({cell.tenants}) wrote since its last backup{kept}. Until it is back their "
        "requests get 503, and nobody else notices. They are not moved: elsewhere they would begin with nothing"
    )
