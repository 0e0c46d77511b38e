"""Idempotency-Key: the first answer again, and never the effect twice."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from tests.cell.cells import CellDatabase, Client

BODY = {"account_id": "acme", "display_name": "Acme"}


async def test_the_same_request_gets_the_first_answer_again(client: Client) -> None:
    """Same status, body and headers; the header says that it is a replay."""
    first = await client("POST", "/v1/accounts", BODY, key="k")
    again = await client("POST", "/v1/accounts", raw=b'{ "display_name":"Acme",  "account_id":"acme"}', key="k")
    assert (again.status, again.raw) == (first.status, first.raw)
    assert (again.headers["ETag"], again.headers["Location"]) == (first.headers["ETag"], first.headers["Location"])
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers


async def test_another_body_under_the_same_key_is_refused(client: Client) -> None:
    """422: the client mixes two intents up."""
    await client("POST", "/v1/accounts", BODY, key="k")
    answer = await client("POST", "/v1/accounts", {**BODY, "account_id": "other"}, key="k")
    assert answer.problem[:2] == (422, "INVALID_ARGUMENT")
    assert (await client("GET", "/v1/accounts/other")).status == 404


async def test_another_path_under_the_same_key_is_refused(client: Client) -> None:
    """The same endpoint on another resource is another request."""
    for name in ("one", "two"):
        await client("POST", "/v1/accounts", {"account_id": name, "display_name": name})
    assert (await client("DELETE", "/v1/accounts/one", key="k")).status == 204
    assert (await client("DELETE", "/v1/accounts/two", key="k")).status == 422
    assert (await client("DELETE", "/v1/accounts/one", key="k")).status == 204


async def test_a_key_is_scoped_to_its_endpoint(client: Client) -> None:
    """Clients that number their requests do not clash with themselves."""
    assert (await client("POST", "/v1/accounts", BODY, key="1")).status == 201
    assert (await client("POST", "/v1/keys", {"display_name": "x"}, key="1")).status == 201


async def test_an_error_is_not_remembered(client: Client) -> None:
    """It had no effect, so the same key may succeed once the reason is gone."""
    namespace = {"namespace_id": "prod", "display_name": "Prod"}
    assert (await client("POST", "/v1/accounts/acme/namespaces", namespace, key="k")).status == 404
    await client("POST", "/v1/accounts", BODY)
    assert (await client("POST", "/v1/accounts/acme/namespaces", namespace, key="k")).status == 202


async def test_while_the_first_runs_the_second_is_told_to_come_again(
    client: Client, cell_database: CellDatabase
) -> None:
    """409, retryable; when the first rolls back (as by a crash) the retry simply does the work."""
    crashing = await cell_database.connect("cell_app")
    scope = crashing.transaction()
    await scope.start()
    await crashing.execute("SELECT cellway.enter($1, $2)", client.tenant_id, client.epoch)
    from cell.database import SQL

    row = await crashing.fetchrow(SQL["begin_idempotent"], client.tenant_id, "POST /v1/accounts", "k")
    assert row is not None
    assert row["mine"]
    answer = await client("POST", "/v1/accounts", BODY, key="k")
    assert answer.problem == (409, "FAILED_PRECONDITION", True)
    crashing.terminate()

    async def done() -> bool:
        return (await client("POST", "/v1/accounts", BODY, key="k")).status == 201

    from tests.waiting import eventually

    await eventually(done)


@pytest.mark.parametrize("at_once", [2, 12])
async def test_many_of_the_same_at_once_have_one_effect(client: Client, at_once: int) -> None:
    """Each gets the one answer or is told to come again."""
    answers = await asyncio.gather(
        *(client("POST", "/v1/keys", {"display_name": "one"}, key="k") for _ in range(at_once))
    )
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.raw for answer in answers if answer.status == 201}) == 1
    listed = await client("GET", "/v1/keys", params={"filter": "display_name = one", "include_total_size": "true"})
    assert listed.json["total_size"] == 1


async def hammered(
    client: Client, method: str, path: str, bodies: Sequence[Mapping[str, str] | None], at_once: int = 16
) -> set[tuple[int, str | None, bool | None]]:
    """Many retries of each request, some begun while others commit: status, code, and whether to try again."""
    outcomes: set[tuple[int, str | None, bool | None]] = set()
    for number, body in enumerate(bodies):
        answers = await asyncio.gather(
            *(client(method, path.format(number), body, key=f"{method}-{number}") for _ in range(at_once))
        )
        outcomes |= {(a.status, None, None) if a.status < 300 else a.problem for a in answers}
    return outcomes


async def test_no_retry_is_told_that_its_own_success_is_in_the_way(client: Client) -> None:
    """Among concurrent retries there is the first answer, its replay, and "come again": never a final refusal.

    The look for a stored answer must be younger than the lock: else a retry takes the lock that the first has just
    let go, does not see what the first committed, and finds its own account or misses it.
    """
    come_again = (409, "FAILED_PRECONDITION", True)
    accounts = [{"account_id": f"a{number}", "display_name": "x"} for number in range(150)]
    assert await hammered(client, "POST", "/v1/accounts", accounts) <= {(201, None, None), come_again}
    assert await hammered(client, "DELETE", "/v1/accounts/a{}", [None] * 150) <= {(204, None, None), come_again}


async def test_an_answer_is_forgotten_after_its_time(client: Client, cell_database: CellDatabase) -> None:
    """24 hours later the same key is a new request."""
    await client("POST", "/v1/accounts", BODY, key="k")
    await client("DELETE", "/v1/accounts/acme")
    connection = await cell_database.connect("cell_app")
    async with connection.transaction():
        await connection.execute("SELECT cellway.enter($1, $2)", client.tenant_id, client.epoch)
        await connection.execute("UPDATE cell.idempotency_keys SET expires_at = now() - interval '1 second'")
    await connection.close()
    answer = await client("POST", "/v1/accounts", BODY, key="k")
    assert answer.status == 201
    assert "Idempotency-Replayed" not in answer.headers


async def test_no_secret_is_stored_for_a_replay(client: Client, cell_database: CellDatabase) -> None:
    """A created key's secret is derived again: neither the answer nor the key's row holds it."""
    first = await client("POST", "/v1/keys", {"display_name": "x"}, key="k")
    again = await client("POST", "/v1/keys", {"display_name": "x"}, key="k")
    assert again.raw == first.raw
    secret = first.json["api_key"].removeprefix(f"ck_{client.tenant_id}_")
    assert len(secret) == 43
    superuser = await cell_database.connect()
    rows = await superuser.fetch(
        "SELECT encode(body, 'escape') || headers::text AS text FROM cell.idempotency_keys WHERE body IS NOT NULL "
        "UNION ALL SELECT to_jsonb(k)::text FROM cell.api_keys k"
    )
    await superuser.close()
    assert rows
    assert not any(secret in row["text"] for row in rows)
