"""A short hunt in every run of the tests; `make fuzz` hunts for longer."""

from pathlib import Path

import pytest

from tests.router.bytes.messages import post, request
from tests.router.fuzz.case import Case, Mood, load
from tests.router.fuzz.hunt import hunted, repeated
from tests.router.fuzz.mutate import DISOWNED, FRAMES, HANDSHAKE, LARGE, SWITCHED, seeds
from tests.router.fuzz.network import MemoryLoop
from tests.router.fuzz.shell import told

CASES = 1500
SMALL = post(b"Content-Length: 5", body=b"hello")


def test_no_promise_is_broken_in_a_short_hunt(tmp_path: Path) -> None:
    """With a fixed seed, so that who breaks something sees the same case again."""
    hunt = hunted(tmp_path, seed=1, cases=CASES)
    assert not hunt.found, "\n".join(f"{reason}\n{path.read_text()}" for path, reason in hunt.found)
    assert hunt.cases == CASES
    assert len(hunt.known) > 20


def test_a_case_is_repeated_from_its_file(tmp_path: Path) -> None:
    """Byte for byte."""
    case = Case(request(b"X: \xff\x00"), (1, 2), b"HTTP/1.1 200 OK\r\n\r\n\xe9", (5,), "reset", Mood.PATIENT)
    assert load(case.save(tmp_path)) == case


def test_seeds_are_what_the_tables_hold() -> None:
    """So that a new row of a table is hunted with too."""
    assert len(seeds()) > 300


def test_a_hunt_comes_to_where_bytes_are_passed_on() -> None:
    """What follows a handshake is no request, whatever it looks like."""
    behaviour = repeated(Case(HANDSHAKE + FRAMES + request(), cell=SWITCHED, then="keep"))
    assert (behaviour.statuses, len(behaviour.forwarded)) == ((b"101",), 1)


def test_a_hunt_comes_to_a_tenant_that_is_not_at_home() -> None:
    """Its request comes once more, and those who wait for it when the client leaves are forgotten."""
    behaviour = repeated(Case(SMALL, cell=DISOWNED, mood=Mood.PATIENT))
    assert (behaviour.statuses, len(behaviour.forwarded)) == ((b"503",), 2)
    assert repeated(Case(SMALL, cell=DISOWNED)).statuses == ()


def test_a_hunt_comes_to_a_body_that_is_not_kept() -> None:
    """Which cannot be sent again."""
    behaviour = repeated(Case(LARGE, cell=DISOWNED, mood=Mood.PATIENT))
    assert (behaviour.statuses, len(behaviour.forwarded)) == ((b"503",), 1)


def test_what_escapes_a_callback_is_noted() -> None:
    """Else the hunt would find nothing."""
    loop = MemoryLoop()
    loop.guarded(lambda: [][0])
    loop.close()
    assert "IndexError" in loop.escaped[0]


def test_what_did_not_hold_is_told() -> None:
    """Outside pytest an assertion that fails has no words of its own."""
    with pytest.raises(AssertionError) as caught:
        _refuse(3)
    assert "(_refuse: assert number < 0)" in told(caught.value)


def _refuse(number: int) -> None:
    assert number < 0
