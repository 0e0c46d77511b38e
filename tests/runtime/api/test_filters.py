"""Filters: what they mean is what Postgres does with the SQL that they become."""

import string
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import database
from runtime.api.filters import Both, Column, Not, Restriction, Tree, filter_sql, parse_filter
from runtime.api.problem import ApiError
from runtime.embedded.postgres import PostgresServer

COLUMNS = {
    "state": Column("state", values=("ACTIVE", "FAILED")),
    "display_name": Column("display_name"),
    "size": Column("size", "integer"),
    "create_time": Column("created_at", "time"),
    "labels": Column("labels", "labels"),
}
ROWS = [
    (1, "ACTIVE", "Acme One", 5, datetime(2026, 1, 1, tzinfo=UTC), '{"env": "prod", "team": "a"}'),
    (2, "ACTIVE", "Bolt 100%", -3, datetime(2026, 6, 1, tzinfo=UTC), '{"env": "dev"}'),
    (3, "FAILED", "Acme_Two", 0, datetime(2026, 9, 1, tzinfo=UTC), "{}"),
]


@pytest.fixture
async def connection(postgres_server: PostgresServer) -> AsyncIterator[database.Connection]:
    """A connection with three rows to filter."""
    found = await database.reach(postgres_server.admin_dsn)
    await found.execute(
        "CREATE TEMP TABLE things (id int, state text, display_name text, size bigint, created_at timestamptz,"
        " labels jsonb)"
    )
    await found.executemany("INSERT INTO things VALUES ($1, $2, $3, $4, $5, $6)", ROWS)
    yield found
    await found.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [1, 2, 3]),
        ("   ", [1, 2, 3]),
        ('state = "ACTIVE"', [1, 2]),
        ("state = ACTIVE", [1, 2]),
        ("state != ACTIVE", [3]),
        ("NOT state = ACTIVE", [3]),
        ("-state = ACTIVE", [3]),
        ("size > -1", [1, 3]),
        ("size <= 0", [2, 3]),
        ('create_time >= "2026-06-01T00:00:00Z"', [2, 3]),
        ('create_time < "2026-06-01T02:00:00+02:00"', [1]),
        ('display_name = "Acme*"', [1, 3]),
        ('display_name = "*e"', [1]),
        ('display_name = "Acme_*"', [3]),
        ('display_name = "*100%"', [2]),
        ('display_name = "*"', []),
        ('display_name != "Acme*"', [2]),
        ('display_name : "ol"', [2]),
        ("labels:env", [1, 2]),
        ("labels.env = prod", [1]),
        ("labels.env != prod", [2, 3]),
        ("NOT labels.env = prod", [2, 3]),
        ("labels.team:*", [1]),
        # OR binds tighter than AND, and a space is AND.
        ("state = FAILED OR size = 5 AND size = 5", [1]),
        ("size = 5 state = FAILED OR state = ACTIVE", [1]),
        ("(size = 5 AND state = ACTIVE) OR state = FAILED", [1, 3]),
        ('NOT (state = ACTIVE AND display_name = "Bolt*")', [1, 3]),
    ],
)
async def test_a_filter_selects_the_rows_that_it_describes(
    connection: database.Connection, text: str, expected: list[int]
) -> None:
    """AIP-160, on a real table."""
    condition, parameters = filter_sql(parse_filter(text), COLUMNS, 1)
    rows = await connection.fetch(f"SELECT id FROM things WHERE {condition} ORDER BY id", *parameters)  # noqa: S608
    assert [row["id"] for row in rows] == expected


@pytest.mark.parametrize(
    "text",
    [
        "state",
        "state =",
        '= "x"',
        "state = = x",
        "(state = ACTIVE",
        "state = ACTIVE)",
        'state = "ACTIVE',
        "AND",
        "state = ACTIVE AND",
        "NOT",
        "password = x",
        "state.deep = ACTIVE",
        "state = GONE",
        "size = five",
        "size = 1.5",
        "size = 99999999999999999999",
        "size = ١",
        'create_time > "yesterday"',
        'create_time > "2026-01-01T00:00:00"',
        "labels = prod",
        "state = 'a\x00b'",
        "(" * 31 + "state = ACTIVE" + ")" * 31,
        "state = ACTIVE " * 100,
        'labels."; DROP TABLE things; --" = \x01',
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(text: str) -> None:
    """With 400, naming the field `filter`."""
    with pytest.raises(ApiError) as caught:
        filter_sql(parse_filter(text), COLUMNS, 1)
    assert (caught.value.status, caught.value.field) == (400, "filter")


@given(st.text(max_size=60) | st.text(alphabet=string.ascii_letters + "\"'()=:-. \\*", max_size=60))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    """Never an error of ours, and nothing of the text reaches the SQL."""
    allowed = {*("TRUE", "AND", "OR", "NOT", "LIKE", "COALESCE", "jsonb_exists", "text", "bigint", "timestamptz")}
    allowed |= {*("state", "display_name", "size", "created_at", "labels")}
    refusals = []
    try:
        condition, _ = filter_sql(parse_filter(text), COLUMNS, 1)
    except ApiError as error:
        condition = ""
        refusals.append(error.status)
    words = "".join(c if c.isalpha() or c == "_" else " " for c in condition).split()
    assert set(words) <= allowed
    assert refusals in ([], [400])


values = st.text(
    alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FF, blacklist_categories=["Cc"]), max_size=8
)
restrictions: st.SearchStrategy[Tree] = st.builds(
    Restriction, st.just("display_name"), st.just(""), st.sampled_from(["=", "!=", "<", ">", ":"]), values
)
trees = st.recursive(
    restrictions,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(Both, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=5,
)


def _written(tree: Tree) -> str:
    match tree:
        case Not(term):
            return f"NOT ({_written(term)})"
        case Both(joiner, terms):
            return f" {joiner} ".join(f"({_written(term)})" for term in terms)
        case Restriction(field, _, comparator, value):
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'{field} {comparator} "{quoted}"'
    raise TypeError(tree)


@given(trees)
def test_a_written_tree_is_read_back(tree: Any) -> None:
    """Quoting and precedence lose nothing."""
    assert parse_filter(_written(tree)) == tree
