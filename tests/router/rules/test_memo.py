"""What is remembered of bytes that come again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules.memo import LARGEST_KEY_BYTES, Memo, cost_bytes


class Asked:
    """Counts how often something was found out."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []

    def __call__(self, key: bytes) -> int:
        self.keys.append(key)
        if key.startswith(b"bad"):
            raise ValueError("nothing can be said of it")
        return len(key)


def number(index: int) -> bytes:
    return b"%d" % index


def test_the_same_bytes_are_found_out_once() -> None:
    """The answer is the same object, whoever asks."""
    asked = Asked()
    memo = Memo(asked)
    assert [memo.find(b"abc"), memo.find(bytes(bytearray(b"abc"))), memo.young[b"abc"]] == [3, 3, 3]
    assert asked.keys == [b"abc"]


def test_it_never_holds_more_than_two_generations() -> None:
    """Whatever comes, for bytes come from outside."""
    memo = Memo(Asked(), most_entries=10)
    for index in range(1000):
        memo.find(number(index))
        assert len(memo) <= 20


def test_what_comes_often_stays_while_others_come_and_go() -> None:
    """It moves over to the young generation each time that one begins."""
    asked = Asked()
    memo = Memo(asked, most_entries=10)
    for index in range(1000):
        memo.find(b"often")
        memo.find(number(index))
    assert asked.keys.count(b"often") == 1


def test_what_came_once_is_forgotten() -> None:
    """After at most twice as many others as a generation holds."""
    asked = Asked()
    memo = Memo(asked, most_entries=10)
    memo.find(b"once")
    for index in range(20):
        memo.find(number(index))
    memo.find(b"once")
    assert asked.keys.count(b"once") == 2


def test_large_keys_are_not_kept() -> None:
    """So the memory of all of them is bounded too."""
    asked = Asked()
    memo = Memo(asked)
    for size in (LARGEST_KEY_BYTES, LARGEST_KEY_BYTES + 1):
        assert memo.find(b"k" * size) == memo.find(b"k" * size) == size
    assert [len(key) for key in asked.keys] == [LARGEST_KEY_BYTES, LARGEST_KEY_BYTES + 1, LARGEST_KEY_BYTES + 1]
    assert len(memo) == 1


def test_a_generation_costs_no_more_than_it_may() -> None:
    """Long before it has as many entries as it may: so a stranger's many short lines take little memory."""
    memo = Memo(Asked(), most_bytes=100_000)
    for index in range(200):
        memo.find(b"a:\r\n" * 500 + number(index))
        assert sum(map(cost_bytes, memo.young)) <= 100_000
    assert len(memo) <= 2 * (100_000 // cost_bytes(b"a:\r\n" * 500))


def test_many_short_lines_cost_more_than_few_long_ones() -> None:
    """Of the same length: each is an object of its own."""
    assert cost_bytes(b"a:\r\n" * 500) > 4 * cost_bytes(b"a" * 2000)


def test_what_comes_often_stays_while_costly_others_come_and_go() -> None:
    """As it does when a generation is full by number."""
    asked = Asked()
    memo = Memo(asked, most_bytes=50_000)
    for index in range(500):
        memo.find(b"often")
        memo.find(b"x" * 1500 + number(index))
    assert asked.keys.count(b"often") == 1


def test_what_cannot_be_found_out_is_not_remembered() -> None:
    """It is asked again, and fails again, and nothing is left behind."""
    asked = Asked()
    memo = Memo(asked)
    for _ in range(2):
        with pytest.raises(ValueError, match="nothing can be said"):
            memo.find(b"bad")
    assert (len(asked.keys), len(memo)) == (2, 0)


def test_an_answer_that_is_false_is_remembered_all_the_same() -> None:
    """Only None would be asked for again."""
    asked = Asked()
    memo = Memo(asked)
    assert [memo.find(b""), memo.find(b"")] == [0, 0]
    assert asked.keys == [b""]


@given(st.lists(st.integers(0, 30)), st.integers(1, 8))
def test_a_memo_answers_as_who_it_asks(indices: list[int], most_entries: int) -> None:
    """In whatever order things come and are forgotten."""
    memo = Memo(Asked(), most_entries)
    for index in indices:
        key = b"k" * index
        assert memo.find(key) == index
        assert memo.young[key] == index
        assert len(memo) <= 2 * most_entries
