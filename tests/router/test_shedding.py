"""What is refused unseen is read as strictly as what is served."""

import pytest

from router.app import Router
from router.rules.overload import Lag
from tests.router.upstreams import FakeCell, connected, get
from tests.waiting import eventually


class Behind(Lag):
    """A loop that cannot keep up."""

    def beat(self, late_seconds: float, now: float) -> None:
        self.share = 1.0


@pytest.mark.parametrize("twice", ["X-Tenant: acme\r\n", "Idempotency-Key: a\r\n"])
async def test_no_body_is_read_as_a_request(router: Router, cell: FakeCell, twice: str) -> None:
    """A repeated header hides the length, so the connection ends instead of going on within the body."""
    router.lane._lag = Behind()
    await eventually(lambda: router.lane.behind)
    smuggled = get("/smuggled")
    async with connected(router) as client:
        client.send(get(method="POST", extra=f"{twice}{twice}Content-Length: {len(smuggled)}\r\n") + smuggled)
        answer = await client.answer(b"POST")
        assert (answer.status, answer.values(b"connection")) == (503, [b"close"])
        assert await client.closed()
    assert not cell.seen


async def test_the_answer_to_head_has_no_body(router: Router) -> None:
    """One that has would be taken for the beginning of the next answer, so that connection ends."""
    router.lane._lag = Behind()
    await eventually(lambda: router.lane.behind)
    async with connected(router) as client:
        client.send(get(method="HEAD"))
        answer = await client.answer(b"HEAD")
        assert (answer.status, answer.values(b"connection")) == (503, [b"close"])
