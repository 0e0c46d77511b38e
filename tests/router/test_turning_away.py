"""Requests that are turned away: by the router while it still reads them, or by a cell that knows no such key."""

import pytest

from directory.memory_feed import MemoryFeed
from directory.values import Change, Rate, TenantEntry
from router.app import Router
from router.client import State
from tests.router.faults.cells import chunk
from tests.router.faults.rest import resting
from tests.router.upstreams import IDENTITY, FakeCell, connected, get, snapshot_of
from tests.waiting import eventually

CHUNKED = "Transfer-Encoding: chunked\r\n"
WHOLE_401 = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 2\r\n\r\nno"
CHUNKED_401 = b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"


def of_beta(data: bytes) -> bytes:
    return data.replace(b"acme", b"beta")


async def limit(feed: MemoryFeed, router: Router, burst: int) -> None:
    """acme may ask so often, and hardly ever again; beta as often as it likes."""
    seq = (await feed.published(IDENTITY) or 0) + 1
    await feed.publish(IDENTITY, [Change(seq, TenantEntry("acme", "cell-1", 5, Rate(0.001, burst)))])
    await eventually(lambda: router.table.seq == seq)


@pytest.mark.parametrize(
    ("framing", "end"), [("Content-Length: 4\r\n", b"body"), (CHUNKED, chunk(b"body") + b"0\r\n\r\n")]
)
@pytest.mark.parametrize("behind", [1, 3])
async def test_requests_behind_a_body_that_was_refused_at_its_end_are_answered(
    feed: MemoryFeed, cell: FakeCell, framing: str, end: bytes, behind: int
) -> None:
    """The refusal is said while the body's end is read, and what came with that end is the next request."""
    tenants = dict.fromkeys(["acme", "beta"], ("cell-1", 5))
    await feed.fill(snapshot_of({"cell-1": cell.address}, tenants))
    async with resting(feed) as router, connected(router) as client:
        await limit(feed, router, 1)
        client.send(get("/passed"))
        assert (await client.answer()).status == 200
        client.send(get("/refused", method="POST", extra=framing))
        [server_side] = router.lane.clients
        await eventually(lambda: server_side._state is State.BODY)
        targets = [f"/behind/{number}" for number in range(behind)]
        client.send(end + b"".join(of_beta(get(target)) for target in targets))
        answer = await client.answer(b"POST")
        assert (answer.status, answer.values(b"connection")) == (429, [])
        assert [(await client.answer()).status for _ in targets] == [200] * behind
    assert [seen.target.decode() for seen in cell.seen] == ["/passed", *targets]


@pytest.mark.parametrize("refusal", [WHOLE_401, CHUNKED_401], ids=["whole", "chunked"])
@pytest.mark.parametrize(
    ("method", "extra", "body"),
    [("GET", "", b""), ("POST", "Content-Length: 4\r\n", b"body"), ("POST", CHUNKED, b"1\r\nx\r\n0\r\n\r\n")],
    ids=["usual", "usual with a body", "careful"],
)
async def test_a_stranger_is_not_told_of_a_tenants_limit_and_uses_nothing_up(
    feed: MemoryFeed, cell: FakeCell, refusal: bytes, method: str, extra: str, body: bytes
) -> None:
    """A cell's 401 bears no RateLimit lines, and the next answer tells as if it had not been."""
    asked = get(method=method, extra=extra) + body
    async with resting(feed) as router, connected(router) as client:
        await limit(feed, router, 5)

        async def told() -> tuple[int, list[bytes], list[bytes]]:
            client.send(asked)
            answer = await client.answer(method.encode())
            left = [value.split(b";")[1] for value in answer.values(b"ratelimit")]
            return answer.status, answer.values(b"ratelimit-policy"), left

        policy = [b'"requests";q=5;w=5000']
        assert await told() == (200, policy, [b"r=4"])
        for _ in range(8):
            cell.answers = [refusal]
            assert await told() == (401, [], [])
        assert await told() == (200, policy, [b"r=3"])


@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(("body_bytes", "connection"), [(900, []), (5000, [b"close"])])
async def test_a_stranger_cannot_tell_by_a_body_whether_a_tenant_exists(
    feed: MemoryFeed, cell: FakeCell, body_bytes: int, connection: list[bytes], chunked: bool, together: bool
) -> None:
    """A large body is not read for a tenant that does not exist, so a 401 ends the connection in either case.

    It does also when the body was there at once, with its head.
    """
    head = get(method="POST", extra=CHUNKED if chunked else f"Content-Length: {body_bytes}\r\n")
    body = chunk(bytes(body_bytes)) + b"0\r\n\r\n" if chunked else bytes(body_bytes)
    cell.answers = [WHOLE_401]
    async with resting(feed, replay_bytes=1000) as router:
        for tenant in (b"acme", b"nope"):
            async with connected(router) as client:
                asked = head.replace(b"acme", tenant)
                if together:
                    client.send(asked + body)
                else:
                    client.send(asked)
                    [server_side] = await eventually(lambda: router.lane.clients)
                    await eventually(lambda asked=server_side: asked._state is not State.HEAD)
                    client.send(body)
                answer = await client.answer(b"POST")
                assert (answer.status, answer.values(b"connection")) == (401, connection)
            await eventually(lambda: not router.lane.clients)
    assert len(cell.seen) == 1
