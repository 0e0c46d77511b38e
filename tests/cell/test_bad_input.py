"""Bad input gets the right 4xx as problem+json, and never a 500."""

import asyncio
from typing import Any

import pytest

from runtime.api import endpoint
from tests.cell.cells import Client, RunningCell, ask

GOOD = {"account_id": "acme", "display_name": "Acme"}
LONG = "x" * 201

BODIES: list[tuple[str, bytes, int]] = [
    ("broken JSON", b'{"account_id": ', 400),
    ("nothing", b"", 400),
    ("not an object", b"[]", 400),
    ("null", b"null", 400),
    ("a number", b"1e999", 400),
    ("bad UTF-8", b'{"account_id": "\xff", "display_name": "x"}', 400),
    ("a lone surrogate", rb'{"account_id": "a", "display_name": "\ud800"}', 400),
    ("NUL", rb'{"account_id": "a", "display_name": "a\u0000b"}', 400),
    ("a control character", rb'{"account_id": "a", "display_name": "a\u001bb"}', 400),
    ("C1 control character", rb'{"account_id": "a", "display_name": "a\u0085b"}', 400),
    ("an unknown field", b'{"account_id": "a", "display_name": "x", "tenant_id": "other"}', 400),
    ("a wrong type", b'{"account_id": "a", "display_name": 7}', 400),
    ("a missing field", b'{"account_id": "a"}', 400),
    ("an empty name", b'{"account_id": "a", "display_name": ""}', 400),
    ("a long name", b'{"account_id": "a", "display_name": "' + LONG.encode() + b'"}', 400),
    ("a bad identifier", b'{"account_id": "A b", "display_name": "x"}', 400),
    ("an identifier with a line end", rb'{"account_id": "a\n", "display_name": "x"}', 400),
    ("a long identifier", b'{"account_id": "' + b"a" * 41 + b'", "display_name": "x"}', 400),
    ("a bad label key", b'{"account_id": "a", "display_name": "x", "labels": {"A": "b"}}', 400),
    ("NUL in a label", rb'{"account_id": "a", "display_name": "x", "labels": {"a": "\u0000"}}', 400),
    ("null in a label", b'{"account_id": "a", "display_name": "x", "labels": {"a": null}}', 400),
    ("deep nesting", b"[" * 100_000, 400),
    ("a huge body", b'{"display_name": "' + b"x" * 2_000_000 + b'"}', 413),
]


@pytest.mark.parametrize(("name", "raw", "status"), BODIES, ids=[row[0] for row in BODIES])
async def test_a_bad_body_is_refused(client: Client, name: str, raw: bytes, status: int) -> None:
    """The client is told what is wrong."""
    answer = await client("POST", "/v1/accounts", raw=raw)
    assert answer.problem[:2] == (status, "INVALID_ARGUMENT")
    assert (await client("GET", "/v1/accounts")).json["accounts"] == []


HEADERS: list[tuple[str, dict[str, str | None], int, str]] = [
    ("no tenant", {"Cellway-Tenant": None}, 400, "INVALID_ARGUMENT"),
    ("a malformed tenant", {"Cellway-Tenant": "A_b"}, 400, "INVALID_ARGUMENT"),
    ("no epoch", {"Cellway-Epoch": None}, 400, "INVALID_ARGUMENT"),
    ("epoch 0", {"Cellway-Epoch": "0"}, 400, "INVALID_ARGUMENT"),
    ("a negative epoch", {"Cellway-Epoch": "-1"}, 400, "INVALID_ARGUMENT"),
    ("a huge epoch", {"Cellway-Epoch": "9" * 30}, 400, "INVALID_ARGUMENT"),
    ("no key", {"Authorization": None}, 401, "UNAUTHENTICATED"),
    ("a malformed key", {"Authorization": "Bearer nonsense"}, 401, "UNAUTHENTICATED"),
    ("another scheme", {"Authorization": "Basic Zm9vOmJhcg=="}, 401, "UNAUTHENTICATED"),
    ("a key that is not ASCII", {"Authorization": "Bearer ck_é_ü"}, 401, "UNAUTHENTICATED"),
    ("no Idempotency-Key", {"Idempotency-Key": None}, 400, "INVALID_ARGUMENT"),
    ("an empty Idempotency-Key", {"Idempotency-Key": ""}, 400, "INVALID_ARGUMENT"),
    ("an Idempotency-Key with a space", {"Idempotency-Key": "a b"}, 400, "INVALID_ARGUMENT"),
    ("a long Idempotency-Key", {"Idempotency-Key": "x" * 129}, 400, "INVALID_ARGUMENT"),
    ("another content type", {"Content-Type": "text/plain"}, 415, "INVALID_ARGUMENT"),
    ("an unknown charset", {"Content-Type": "application/json; charset=utf-16"}, 415, "INVALID_ARGUMENT"),
    ("an encoded body", {"Content-Encoding": "gzip"}, 415, "INVALID_ARGUMENT"),
]


@pytest.mark.parametrize(("name", "headers", "status", "code"), HEADERS, ids=[row[0] for row in HEADERS])
async def test_a_bad_header_is_refused(
    client: Client, name: str, headers: dict[str, str | None], status: int, code: str
) -> None:
    """Before any effect."""
    answer = await client("POST", "/v1/accounts", raw=b'{"account_id": "a", "display_name": "x"}', headers=headers)
    assert answer.problem[:2] == (status, code), answer


QUERIES = [
    {"page_size": "-1"},
    {"page_size": "x"},
    {"page_size": "99999999999"},
    {"page_token": "nonsense"},
    {"page_token": "é"},
    {"filter": "nonsense"},
    {"filter": "secret = 1"},
    {"filter": "account ="},
    {"filter": "(" * 31},
    {"filter": "create_time > yesterday"},
    {"filter": 'create_time > "0001-01-01T00:00:00+14:00"'},
    {"filter": 'create_time > "9999-12-31T23:59:59-14:00"'},
    {"filter": "x" * 1001},
    {"filter": 'account = "\x00"'},
    {"order_by": "secret"},
    {"order_by": "account; DROP TABLE cell.accounts"},
    {"order_by": "account sideways"},
    {"order_by": "account, account"},
    {"include_total_size": "maybe"},
    {"unknown": "1"},
]


@pytest.mark.parametrize("query", QUERIES, ids=str)
async def test_a_bad_query_is_refused(client: Client, query: dict[str, str]) -> None:
    """400, naming the parameter."""
    from urllib.parse import urlencode

    answer = await client("GET", f"/v1/accounts?{urlencode(query)}")
    assert answer.problem == (400, "INVALID_ARGUMENT", False), answer


PATHS = [
    "/v1/accounts/%00",
    "/v1/accounts/%FF",
    "/v1/accounts/a%00b",
    "/v1/accounts/%ED%A0%80",
    "/v1/accounts/A",
    "/v1/accounts/a%0A",
    "/v1/accounts/%2e%2e",
    "/v1/accounts/" + "a" * 3000,
    "/v1/accounts/a/namespaces/%00",
    "/v1/keys/'%20OR%201=1",
    "/v1/operations/%F0%9F%98%80",
    "/v1/nothing",
    "/v1/accounts/a/b/c/d",
    "/",
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_that_leads_nowhere_is_not_found(client: Client, path: str) -> None:
    """404 as problem+json, whatever bytes it holds."""
    answer = await client("GET", path)
    assert answer.problem == (404, "NOT_FOUND", False), answer


async def test_a_query_that_is_given_twice_is_refused(client: Client) -> None:
    """Which one would be meant?"""
    answer = await client("GET", "/v1/accounts?page_size=1&page_size=2")
    assert answer.problem[0] == 400


async def test_another_method_is_told_what_is_possible(client: Client) -> None:
    """405 with Allow."""
    answer = await client("PUT", "/v1/accounts", GOOD)
    assert answer.problem[0] == 405
    assert "GET" in answer.headers["Allow"]


async def test_a_body_where_none_is_expected_is_refused(client: Client) -> None:
    """It would have no effect, so the client must have meant something else."""
    await client("POST", "/v1/accounts", GOOD)
    assert (await client("DELETE", "/v1/accounts/acme", {"force": True})).problem[0] == 400


@pytest.mark.parametrize("value", ['W/"1"', "1", '"x"', '"1", "2"', '""', "é"])
async def test_a_malformed_if_match_is_refused(client: Client, value: str) -> None:
    """400: a condition that is misunderstood must not count as none."""
    await client("POST", "/v1/accounts", GOOD)
    answer = await client("PATCH", "/v1/accounts/acme", {"display_name": "x"}, headers={"If-Match": value})
    assert answer.problem[0] == 400


async def test_nothing_is_learnt_about_the_request_without_a_key(client: Client) -> None:
    """A bad body of a stranger is answered as a good one: 401."""
    client.api_key = client.api_key[:-1] + ("A" if client.api_key[-1] != "A" else "B")
    answers = [
        await client("POST", "/v1/accounts", raw=b"{"),
        await client("POST", "/v1/accounts", GOOD),
        await client("GET", "/v1/accounts?page_token=x"),
    ]
    assert {answer.raw for answer in answers} == {answers[0].raw}
    assert answers[0].problem == (401, "UNAUTHENTICATED", False)


async def test_a_body_that_does_not_arrive_is_not_waited_for(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """408: a slow client holds a task for a bounded time, and never a connection to the database."""
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection(*client.url.removeprefix("http://").split(":"))
    head = (
        f"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nCellway-Tenant: {client.tenant_id}\r\n"
        f"Cellway-Epoch: {client.epoch}\r\nAuthorization: Bearer {client.api_key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
    )
    writer.write(head.encode())
    assert (await asyncio.wait_for(reader.readline(), 8.0)).startswith(b"HTTP/1.1 408")
    writer.close()
    await writer.wait_closed()


async def test_the_public_pages_need_nothing(cell: RunningCell) -> None:
    """Routers probe the one, tools read the other."""
    assert (await ask(cell.session, "GET", f"{cell.url}/health/live")).json == {"live": True}
    document: Any = (await ask(cell.session, "GET", f"{cell.url}/openapi.json")).json
    assert document["openapi"].startswith("3.1")
