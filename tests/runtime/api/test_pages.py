"""Page tokens and orders."""

import base64
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import database
from runtime.api.ordering import Order, after_sql, order_sql, parse_order
from runtime.api.pages import PageTokens, page_size
from runtime.api.problem import ApiError
from runtime.embedded.postgres import PostgresServer

TOKENS = PageTokens(b"a key of this test")
LIST = ("acme", "accounts", "", "")
FIELDS = {
    "a": Order("a", "a", cast="int"),
    "b": Order("b", "b", cast="text"),
    "id": Order("id", "id", cast="int"),
}


@given(st.lists(st.text(max_size=20) | st.integers() | st.booleans(), max_size=4))
def test_a_token_brings_back_where_it_stood(after: list[str | int | bool]) -> None:
    """For the list that it was made for."""
    assert TOKENS.open(LIST, TOKENS.seal(LIST, after)) == after


@pytest.mark.parametrize(
    "elsewhere",
    [
        ("bolt", "accounts", "", ""),
        ("acme", "keys", "", ""),
        ("acme", "accounts", "x", ""),
        ("acmeaccounts", "", "", ""),
    ],
)
def test_a_token_is_good_for_its_own_list_only(elsewhere: tuple[str, ...]) -> None:
    """Not for another tenant, list, filter or order."""
    with pytest.raises(ApiError, match="begin again without it"):
        TOKENS.open(elsewhere, TOKENS.seal(LIST, ["x"]))


@given(st.data())
def test_a_tampered_token_is_refused(data: st.DataObject) -> None:
    """Any byte."""
    raw = bytearray(base64.urlsafe_b64decode(TOKENS.seal(LIST, ["some-account", 7]) + "=="))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ApiError):
        TOKENS.open(LIST, base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="))


@given(st.text(max_size=80))
def test_no_text_is_a_token_by_chance(text: str) -> None:
    """400, whatever it is."""
    with pytest.raises(ApiError) as caught:
        TOKENS.open(LIST, text)
    assert (caught.value.status, caught.value.field) == (400, "page_token")


@pytest.mark.parametrize(
    ("asked", "given_size"), [(0, 20), (-1, 20), (1, 1), (100, 100), (101, 100), (10**9, 100)]
)
def test_a_page_has_a_bounded_size(asked: int, given_size: int) -> None:
    """0 is the default; more than the largest is the largest."""
    assert page_size(asked) == given_size


@pytest.mark.parametrize("text", ["c", "a b", "a desc desc", "a, a", "a,b,id,a", "a;drop", "1", "a asc, a desc"])
def test_an_order_that_makes_no_sense_is_refused(text: str) -> None:
    """400, naming the field."""
    with pytest.raises(ApiError) as caught:
        parse_order(text, FIELDS, "id")
    assert (caught.value.status, caught.value.field) == (400, "order_by")


@pytest.fixture
async def connection(postgres_server: PostgresServer) -> AsyncIterator[database.Connection]:
    """A connection with rows that have many equal values."""
    found = await database.reach(postgres_server.admin_dsn)
    await found.execute('CREATE TEMP TABLE rows (id int, a int, b text COLLATE "C")')
    await found.execute("INSERT INTO rows SELECT n, n % 3, chr(97 + n % 4) FROM generate_series(1, 50) n")
    yield found
    await found.close()


@pytest.mark.parametrize("text", ["", "a", "a desc", "b desc, a", "id desc", "b, a desc, id", "a DESC , b asc"])
async def test_pages_by_key_show_every_row_once(connection: database.Connection, text: str) -> None:
    """In any mixture of directions, with ties."""
    orders = parse_order(text, FIELDS, "id")
    everything = await connection.fetch(f"SELECT * FROM rows ORDER BY {order_sql(orders)}")  # noqa: S608
    seen: list[int] = []
    after: list[str] = []
    while True:
        condition = after_sql(orders, 1) if after else "TRUE"
        page = await connection.fetch(
            f"SELECT * FROM rows WHERE {condition} ORDER BY {order_sql(orders)} LIMIT 7",  # noqa: S608
            *after,
        )
        if not page:
            break
        seen += [row["id"] for row in page]
        after = [str(page[-1][order.field]) for order in orders]
    assert seen == [row["id"] for row in everything]
    assert len(set(seen)) == 50
