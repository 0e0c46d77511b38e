"""Accounts and lists: standard methods, pages, filters, orders, ETags."""

import asyncio

import pytest

from tests.cell.cells import Client, RunningCell


async def _fill(client: Client, count: int) -> list[str]:
    names = [f"a{i:03}" for i in range(count)]
    for i, name in enumerate(names):
        body = {
            "account_id": name,
            "display_name": f"Name {i % 3}",
            "labels": {"env": "prod" if i % 2 else "test"},
        }
        assert (await client("POST", "/v1/accounts", body)).status == 201
    return names


async def _all(client: Client, size: int, **params: str) -> list[str]:
    found: list[str] = []
    token = ""
    for _ in range(100):
        answer = await client(
            "GET", "/v1/accounts", params={"page_size": str(size), "page_token": token, **params}
        )
        assert answer.status == 200, answer
        assert len(answer.json["accounts"]) <= size
        found += [account["name"].removeprefix("accounts/") for account in answer.json["accounts"]]
        token = answer.json["next_page_token"]
        if not token:
            return found
    raise AssertionError("pages without end")


async def test_an_account_is_created_read_changed_and_deleted(client: Client) -> None:
    """The standard methods, with the ETag following each change."""
    made = await client(
        "POST", "/v1/accounts", {"account_id": "acme", "display_name": "Acme", "labels": {"a": "1"}}
    )
    assert (made.status, made.headers["Location"], made.headers["ETag"]) == (201, "accounts/acme", '"1"')
    read = await client("GET", "/v1/accounts/acme")
    assert read.json == made.json
    patch = {"labels": {"a": None, "b": "2"}}
    changed = await client("PATCH", "/v1/accounts/acme", patch, headers={"If-Match": read.headers["ETag"]})
    assert (changed.status, changed.json["labels"], changed.json["display_name"]) == (200, {"b": "2"}, "Acme")
    assert changed.headers["ETag"] == changed.json["etag"] == '"2"'
    assert (await client("DELETE", "/v1/accounts/acme")).status == 204
    assert (await client("GET", "/v1/accounts/acme")).status == 404


async def test_a_taken_identifier_is_a_conflict(client: Client) -> None:
    """409 ALREADY_EXISTS, naming the field."""
    body = {"account_id": "acme", "display_name": "Acme"}
    await client("POST", "/v1/accounts", body)
    answer = await client("POST", "/v1/accounts", body)
    assert answer.problem == (409, "ALREADY_EXISTS", False)
    assert answer.json["field"] == "account_id"


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_change_for_an_older_version_is_refused(client: Client, method: str) -> None:
    """412, and nothing has changed."""
    await client("POST", "/v1/accounts", {"account_id": "acme", "display_name": "Acme"})
    body = {"display_name": "late"} if method == "PATCH" else None
    answer = await client(method, "/v1/accounts/acme", body, headers={"If-Match": '"7"'})
    assert answer.problem[0] == 412
    assert answer.json["metadata"] == {"etag": '"1"'}
    assert (await client("GET", "/v1/accounts/acme")).json["display_name"] == "Acme"


async def test_of_two_changes_for_the_same_version_one_wins(client: Client) -> None:
    """No lost update."""
    await client("POST", "/v1/accounts", {"account_id": "acme", "display_name": "Acme"})
    answers = await asyncio.gather(
        *(
            client("PATCH", "/v1/accounts/acme", {"display_name": f"name {i}"}, headers={"If-Match": '"1"'})
            for i in range(8)
        )
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 7


async def test_too_many_labels_by_merging_are_refused(client: Client) -> None:
    """The bound holds for what results, not only for what is sent."""
    labels = {f"l{i}": "x" for i in range(32)}
    await client("POST", "/v1/accounts", {"account_id": "acme", "display_name": "Acme", "labels": labels})
    answer = await client("PATCH", "/v1/accounts/acme", {"labels": {"one-more": "x"}})
    assert answer.problem[:2] == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("size", [1, 4, 7, 100])
@pytest.mark.parametrize("order", ["", "account desc", "display_name, create_time desc", "create_time desc"])
async def test_pages_hold_every_row_once_in_order(client: Client, size: int, order: str) -> None:
    """Whatever the page size, the same rows in the same order."""
    names = await _fill(client, 9)
    paged = await _all(client, size, order_by=order)
    assert sorted(paged) == names
    assert paged == await _all(client, 50, order_by=order)
    if order.endswith("account desc"):
        assert paged == names[::-1]


async def test_page_sizes_have_a_default_and_a_limit(client: Client) -> None:
    """20 by default, never more than 100."""
    await _fill(client, 25)
    answer = await client("GET", "/v1/accounts")
    assert len(answer.json["accounts"]) == 20
    assert answer.json["total_size"] is None
    answer = await client("GET", "/v1/accounts", params={"page_size": "1000", "include_total_size": "true"})
    assert (len(answer.json["accounts"]), answer.json["total_size"]) == (25, 25)


async def test_filters_and_orders_combine(client: Client) -> None:
    """OR binds tighter than AND; total_size counts what matches."""
    await _fill(client, 9)
    params = {"filter": 'labels.env = prod AND display_name = "Name 0" OR display_name = "Name 1"',
              "order_by": "account desc", "include_total_size": "true"}  # fmt: skip
    answer = await client("GET", "/v1/accounts", params=params)
    assert [a["name"] for a in answer.json["accounts"]] == ["accounts/a007", "accounts/a003", "accounts/a001"]
    assert answer.json["total_size"] == 3


async def test_a_page_token_is_good_for_its_own_list_only(client: Client, cell: RunningCell) -> None:
    """Tampered with, carried to another tenant, list, filter or order: 400."""
    await _fill(client, 3)
    other = await cell.tenant()
    token = (await client("GET", "/v1/accounts?page_size=1")).json["next_page_token"]
    tampered = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    attempts = [
        await client("GET", "/v1/accounts", params={"page_token": tampered}),
        await client("GET", "/v1/accounts", params={"page_token": token, "order_by": "create_time"}),
        await client("GET", "/v1/accounts", params={"page_token": token, "filter": "account = x"}),
        await client("GET", "/v1/operations", params={"page_token": token}),
        await other("GET", "/v1/accounts", params={"page_token": token}),
    ]
    assert {answer.problem for answer in attempts} == {(400, "INVALID_ARGUMENT", False)}
    assert (await client("GET", "/v1/accounts", params={"page_token": token, "page_size": "50"})).status == 200
