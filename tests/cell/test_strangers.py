"""Whoever holds no key of the tenant learns nothing, and occupies nothing."""

import asyncio
import json

from cell.api.serving import AT_ONCE_SECONDS
from tests.cell.cells import Client, RunningCell, ask


async def test_a_stranger_is_refused_before_the_body_came(client: Client) -> None:
    """401 at once: who has no key can neither make the cell wait nor see that it does."""
    for length in (10, 500_000):
        reader, writer = await asyncio.open_connection(*client.url.removeprefix("http://").split(":"))
        head = (
            f"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nCellway-Tenant: {client.tenant_id}\r\n"
            f"Cellway-Epoch: {client.epoch}\r\nContent-Length: {length}\r\n\r\n{{"
        )
        writer.write(head.encode())
        assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 401")
        writer.close()
        await writer.wait_closed()


async def test_a_body_in_pieces_is_waited_for_when_the_key_is_good(client: Client) -> None:
    """Only the key is looked at twice."""
    body = json.dumps({"account_id": "slow", "display_name": "Slow"}).encode()
    reader, writer = await asyncio.open_connection(*client.url.removeprefix("http://").split(":"))
    head = (
        f"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nCellway-Tenant: {client.tenant_id}\r\n"
        f"Cellway-Epoch: {client.epoch}\r\nAuthorization: Bearer {client.api_key}\r\nIdempotency-Key: slow\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode())
    await asyncio.sleep(4 * AT_ONCE_SECONDS)  # so the key has been looked at without the body
    writer.write(body)
    assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 201")
    writer.close()
    await writer.wait_closed()


async def test_what_comes_through_the_router_needs_a_key_on_every_page(cell: RunningCell, client: Client) -> None:
    """Missing pages, other methods and public pages too; without the router's headers they stay public."""
    asked = [("GET", "/nopage", 404), ("PUT", "/v1/accounts", 405), ("GET", "/openapi.json", 200)]
    for method, path, status in asked:
        assert (await client(method, path)).status == status
        stranger = await client(method, path, headers={"Authorization": None})
        assert stranger.problem == (401, "UNAUTHENTICATED", False)
        assert (await ask(cell.session, method, cell.url + path)).status == status


async def test_a_key_is_kept_by_nobody_on_the_way(client: Client) -> None:
    """`no-store` on the answer that shows it, first and replayed."""
    for _ in range(2):
        answer = await client("POST", "/v1/keys", {"display_name": "second"}, key="the-same")
        assert answer.json["api_key"]
        assert answer.headers["Cache-Control"] == "no-store"
