"""The life of a subscription, by rule; and the database computes the same state."""

import itertools

import asyncpg
import pytest

from cell.errors import NotAllowed, Unfit
from cell.rules.letters import MOST_CHARACTERS, TEXTS, letter
from cell.rules.quotas import Use
from cell.rules.subscriptions import (
    OFFBOARDING,
    OPERATOR,
    REFUSED,
    STANDINGS,
    Standing,
    can,
    check_change,
    check_fits,
    check_free,
    moved,
    state,
)
from directory.rules.plans import PREMIUM, STANDARD
from tests.cell.cells import CellDatabase

STANDING: tuple[Standing, ...] = ("TRIAL", "ACTIVE", "GRACE", "UNPAID", "CLOSED")
BLOCKS = [(), (OPERATOR,), (OFFBOARDING,), (OFFBOARDING, OPERATOR)]


def test_a_payment_is_possible_until_it_is_closed() -> None:
    """And makes it active, wherever it was; closed is closed."""
    for standing in STANDING:
        if standing == "CLOSED":
            assert not any(at == standing for at, _ in STANDINGS)
        else:
            assert (moved(standing, "pay"), moved(standing, "close")) == ("ACTIVE", "CLOSED")


def test_a_timer_touches_only_what_waits_for_it() -> None:
    """So one that fires late finds nothing to do."""
    assert [standing for standing in STANDING if can(standing, "expire")] == ["TRIAL"]
    assert [standing for standing in STANDING if can(standing, "lapse")] == ["GRACE"]
    with pytest.raises(NotAllowed):
        moved("ACTIVE", "lapse")


async def test_the_database_shows_the_same_state(cell_database: CellDatabase) -> None:
    """For every standing with every block."""
    connection: asyncpg.Connection = await cell_database.connect()
    expression = await connection.fetchval(
        "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_attribute a "
        "ON (a.attrelid, a.attnum) = (d.adrelid, d.adnum) "
        "WHERE a.attrelid = 'cell.subscriptions'::regclass AND a.attname = 'state'"
    )
    for standing, blocks in itertools.product(STANDING, BLOCKS):
        query = f"SELECT {expression} FROM (SELECT $1::text AS standing, $2::text[] AS blocks) s"  # noqa: S608
        assert await connection.fetchval(query, standing, list(blocks)) == state(standing, blocks)
    await connection.close()


def test_who_is_held_is_refused_whatever_was_paid() -> None:
    """And who paid is not, without a block."""
    assert all(state(standing, blocks) in REFUSED for standing in STANDING for blocks in BLOCKS if blocks)
    assert [standing for standing in STANDING if state(standing, ()) in REFUSED] == ["UNPAID", "CLOSED"]


@pytest.mark.parametrize(
    ("standing", "blocks", "paying", "allowed"),
    [
        ("TRIAL", (), True, True),
        ("UNPAID", (), True, True),
        ("ACTIVE", (OPERATOR,), False, True),
        ("ACTIVE", (OPERATOR,), True, False),
        ("ACTIVE", (OFFBOARDING,), False, False),
        ("CLOSED", (), True, False),
    ],
)
def test_a_hold_keeps_others_from_changing_anything(
    standing: Standing, blocks: tuple[str, ...], paying: bool, allowed: bool
) -> None:
    """The operator may change what the operator holds; nobody changes what is being left, or is closed."""
    if allowed:
        check_free(standing, blocks, paying=paying)
    else:
        with pytest.raises(NotAllowed):
            check_free(standing, blocks, paying=paying)


def test_a_plan_must_have_room_for_what_there_is() -> None:
    """One more than it has is one too many, also for who is below the limit elsewhere."""
    full: Use = {"namespaces": STANDARD.most_namespaces, "storage_bytes": STANDARD.storage_bytes}
    check_fits(STANDARD, full)
    for quota in full:
        with pytest.raises(NotAllowed, match="delete 1 of them"):
            check_fits(STANDARD, {**full, quota: full[quota] + 1})
    with pytest.raises(NotAllowed, match="already"):
        check_change("ACTIVE", PREMIUM, PREMIUM, full)
    check_change("TRIAL", PREMIUM, PREMIUM, full)


@pytest.mark.parametrize("name", TEXTS)
def test_a_letter_shows_facts_and_nothing_but_facts(name: str) -> None:
    """Whatever they hold: no line break in a subject, no placeholder that is followed, no end of the page."""
    wild = "a\r\nBcc: b\u2028{plan!r}" + "x" * 1000
    facts = dict.fromkeys(("customer", "account", "namespace", "plan", "days", "operation"), wild)
    made = letter(name, "ada@example.com", facts)
    assert made.subject.isprintable()
    assert len(made.subject) < MOST_CHARACTERS + 100
    assert "\r" not in made.body


def test_a_letter_that_lacks_a_fact_is_never_sent() -> None:
    """Half a mail helps nobody."""
    with pytest.raises(Unfit, match="plan"):
        letter("plan_changed", "ada@example.com", {})
