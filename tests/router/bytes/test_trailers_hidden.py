"""Trailers that say what a head must not say, though they neither frame nor route."""

import pytest

from tests.router.bytes.messages import CHUNKED, request, response, trailed
from tests.router.bytes.wire import Reply, Wire


@pytest.mark.parametrize("line", [b"Server: x", b"X-Powered-By: x", b"server: y"])
async def test_a_trailer_does_not_tell_which_software_runs(wire: Wire, line: bytes) -> None:
    """As little as a header does."""
    reply = response(CHUNKED, body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n" + line + b"\r\n\r\n")
    answers = await wire.exchange(request(), reply=Reply([reply]))
    assert answers.final.body == b"hello"
    assert answers.final.trailers == ((b"x-sum", b"1"),)


@pytest.mark.parametrize("line", [b"traceparent: forged", b"tracestate: a=1"])
async def test_a_trailer_is_no_trace(wire: Wire, line: bytes) -> None:
    """The head's was checked, or made; a cell that merges trailers must not see another."""
    answers = await wire.exchange(trailed(line))
    assert answers.final.start[0] in (200, 400)
    await wire.settled()
    assert all(line not in seen.wire for seen in wire.cell.seen)
