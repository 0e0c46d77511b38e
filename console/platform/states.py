"""The states of a part, as a table. Pure.

    waiting ─▶ starting ─▶ ready ─ it ended ─▶ backing off ─▶ starting …
                   └── it failed ──▶ backing off, or failed when it never was ready and trying is useless
    any of them ─ stop ─▶ stopping ─▶ stopped

A part is `ready` only between its readiness and its end, so `ready` means that it can be used.
"""

from enum import StrEnum


class State(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKING_OFF = "backing off"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Event(StrEnum):
    STARTED = "started"
    BECAME_READY = "became ready"
    ENDED = "ended"
    GAVE_UP = "gave up"
    STOP = "stop"
    STOPPED = "stopped"


class IllegalTransition(LookupError):
    """An event that cannot happen in this state: a fault of the supervisor."""


_ENDS = {Event.STOP: State.STOPPING}
TABLE: dict[State, dict[Event, State]] = {
    State.WAITING: {Event.STARTED: State.STARTING, **_ENDS},
    State.STARTING: {
        Event.BECAME_READY: State.READY,
        Event.ENDED: State.BACKING_OFF,
        Event.GAVE_UP: State.FAILED,
        **_ENDS,
    },
    State.READY: {Event.ENDED: State.BACKING_OFF, **_ENDS},
    State.BACKING_OFF: {Event.STARTED: State.STARTING, **_ENDS},
    State.FAILED: _ENDS,
    State.STOPPING: {Event.STOPPED: State.STOPPED},
    State.STOPPED: {},
}


def after(state: State, event: Event) -> State:
    """The next state. Raises `IllegalTransition`."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise IllegalTransition(f"{event} while {state}") from None
