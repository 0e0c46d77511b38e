"""What happens next with a move, or who has to do something; and what an operator may ask for."""

from collections.abc import Mapping

from directory.rules.moves import ENDED, PHASES, WISHES
from directory.values import Move, MovePhase, Wish

VERBS: Mapping[str, Wish] = {
    "pause": "pause", "resume": "run", "switch": "switch", "cancel": "cancel", "confirm": "confirm",
}  # fmt: skip
"""What operators say → what the directory keeps."""

DOING: Mapping[MovePhase, str] = {
    "PLANNED": "it is prepared",
    "PREPARED": "both cells are prepared",
    "CAPTURING": "changes begin to be captured in {source}",
    "COPYING": "rows are copied to {destination}",
    "CATCHING_UP": "changes are carried over until few are left",
    "VERIFYING": "source and destination are compared",
    "READY": "it switches at the next good moment",
    "FENCING": "{source} stops taking writes",
    "FINALIZING": "the last changes are carried over",
    "COMMITTED": "{destination} is opened for the tenant",
    "ACTIVATED": "what still runs in {source} ends",
    "DRAINING": "what still runs in {source} ends",
    "CLEANING": "the rows in {source} are removed",
    "ABORTING": "what was copied to {destination} is removed",
}
ENDINGS: Mapping[MovePhase, str] = {
    "DONE": "nothing: the tenant lives in {destination}",
    "ABORTED": "nothing: the tenant stayed in {source}; another move can be planned",
    "REVERSED": "nothing: the tenant lives in {source} again",
}


def verbs(move: Move) -> list[str]:
    """What may be asked for now."""
    if move.phase in ENDED:
        return []
    if move.wish == "cancel":
        return ["cancel"]
    pointless = {"pause"} if move.paused else {"resume"}
    possible = [verb for verb, wish in VERBS.items() if move.phase in WISHES[wish] and verb not in pointless]
    return possible + (["reverse"] if (move.phase, "reverse") in PHASES else [])


def next_action(move: Move) -> str:
    """In one line."""
    return _action(move).format(source=move.source, destination=move.destination)


def _action(move: Move) -> str:
    if move.phase in ENDED:
        return ENDINGS[move.phase]
    if move.paused:
        return "paused: resume it, or " + ("confirm or reverse it" if move.phase == "REVERSIBLE" else "cancel it")
    if move.phase == "REVERSIBLE":
        return (
            "its way back is being closed"
            if move.wish == "confirm"
            else "the way back is kept: confirm or reverse"
        )
    if move.phase == "REVERSING":
        return "it waits for the move that takes its way back"
    if move.wish == "cancel":
        return "it is being cancelled: the tenant stays in {source}"
    if held(move):
        return "held: say switch when it suits"
    return _carried(move)


def _carried(move: Move) -> str:
    if move.owner:
        return DOING[move.phase]
    if move.error:
        return "it is tried again by itself, after a rest"
    return "a mover takes it up" if not move.token else "a mover takes it up again, if one runs: cellway status"


def held(move: Move) -> bool:
    """Whether it waits for an operator to say `switch`."""
    return move.phase == "READY" and move.options.hold and move.wish != "switch"
