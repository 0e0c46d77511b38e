"""Requests through a real router to cells made of raw sockets."""

from router.app import Router
from tests.router.upstreams import FakeCell, ask, get


async def test_a_request_reaches_its_tenants_cell(router: Router, cell: FakeCell) -> None:
    """The tenant and its epoch travel in internal headers."""
    answer = await ask(router, get("/v1/things?a=%2F"))
    assert (answer.status, answer.body) == (200, b"ok")
    [seen] = cell.seen
    assert seen.target == b"/v1/things?a=%2F"
    assert seen.values(b"cellway-tenant") == [b"acme"]
    assert seen.values(b"cellway-epoch") == [b"5"]
