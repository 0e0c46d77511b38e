"""Trace Context headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules.traces import MOST_MEMBERS, fresh_parent, valid_parent, valid_state

TRACE, SPAN = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"
IDS = TRACE + b"-" + SPAN


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (b"00-" + IDS + b"-01", True),
        (b"00-" + IDS + b"-00", True),
        (b"00-" + IDS + b"-ff", True),
        (b"00-" + b"0" * 31 + b"1-" + b"0" * 15 + b"1-00", True),
        (b"01-" + IDS + b"-01", True),
        (b"fe-" + IDS + b"-01-what-the-future-brings", True),
        (b"cc-" + IDS + b"-01-", True),
        (b"cc-" + IDS + b"-01.x", False),
        (b"cc-" + IDS + b"-01x", False),
        (b"cc-" + IDS + b"-01-\x00", False),
        (b"00-" + IDS + b"-01-x", False),
        (b"00-" + IDS + b"-01-", False),
        (b"00-" + IDS + b"-01\n", False),
        (b"ff-" + IDS + b"-01", False),
        (b"FF-" + IDS + b"-01", False),
        (b"0-" + IDS + b"-01", False),
        (b"00-" + IDS + b"-1", False),
        (b"00-" + IDS, False),
        (b"00-" + IDS.upper() + b"-01", False),
        (b"00-" + IDS + b"-0A", False),
        (b"00_" + IDS + b"-01", False),
        (b"00-" + b"0" * 32 + b"-" + SPAN + b"-01", False),
        (b"00-" + TRACE + b"-" + b"0" * 16 + b"-01", False),
        (b"01-" + TRACE + b"-" + b"0" * 16 + b"-01", False),
        (b"00-" + TRACE[:-1] + b"g-" + SPAN + b"-01", False),
        (b" 00-" + IDS + b"-01", False),
        (b"00-" + IDS + b"-01, 00-" + IDS + b"-01", False),
        (b"", False),
    ],
)
def test_a_parent_is_passed_on_only_when_it_is_valid(value: bytes, *, valid: bool) -> None:
    """An invalid one starts a new trace."""
    assert valid_parent(value) is valid


@given(st.integers(1, 2**64 - 1), st.integers(1, 2**64 - 1))
def test_a_fresh_parent_is_valid_and_not_sampled(high: int, low: int) -> None:
    """Whatever digits chance brings."""
    value = fresh_parent(b"%016x%016x" % (high, low))
    assert valid_parent(value)
    assert len(value) == 55
    assert value.endswith(b"-02")


@pytest.mark.parametrize(
    ("values", "valid"),
    [
        ([], True),
        ([b""], True),
        ([b"a=1"], True),
        ([b"a=1,b=2", b"c=3"], True),
        ([b"a=1 ,\tb=2,,"], True),
        ([b"tenant@system=x"], True),
        ([b"0a/b*c-d_e=!#~ x"], True),
        ([b"a" * 256 + b"=" + b"x" * 256], True),
        ([b",".join(b"k%d=v" % number for number in range(MOST_MEMBERS))], True),
        ([b",".join(b"k%d=v" % number for number in range(MOST_MEMBERS + 1))], False),
        ([b"a" * 257 + b"=x"], False),
        ([b"a=" + b"x" * 257], False),
        ([b"a"], False),
        ([b"a="], False),
        ([b"=a"], False),
        ([b"A=1"], False),
        ([b"@a=1"], False),
        ([b"a=b=c"], False),
        ([b"a =1"], False),
        ([b"a=\x7f"], False),
        ([b"a=caf\xe9"], False),
        ([b"a=1,a=2"], False),
        ([b"a=1", b"a=2"], False),
    ],
)
def test_a_state_is_one_list_over_all_its_lines(values: list[bytes], *, valid: bool) -> None:
    """Members are counted and compared across lines."""
    assert valid_state(values) is valid
