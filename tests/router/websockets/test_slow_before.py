"""A WebSocket that opens towards a client that was slow already."""

from typing import Any

from directory.memory_feed import MemoryFeed
from router.app import Router
from router.client import Client
from router.rules.responses import HEADS
from router.upstream.connection import Connection
from tests.router.upstreams import OK, get, settings
from tests.router.websockets.wires import SWITCHING, frame, handshake
from tests.router.wires import Wire
from tests.waiting import eventually


class Slow(Wire):
    """Says that it is full at the first byte, and once only, as transports do."""

    def __init__(self, client: Client) -> None:
        super().__init__("192.0.2.7")
        self._client = client
        self.full = False

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        super().write(data)
        if not self.full:
            self.full = True
            self._client.pause_writing()


class Cell(Wire):
    """Knows whether it is read."""

    reads = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def get_write_buffer_size(self) -> int:
        return 0


async def test_a_cell_waits_for_a_client_that_was_slow_before_its_websocket_opened(feed: MemoryFeed) -> None:
    """The transport said so once, with the answer before it: frames wait as other answers do."""
    router = Router(settings(), feed)
    await router.follower.step()
    pool, cell, client = router.cells.pool("cell-1"), Cell("127.0.0.1"), Client(router.lane)
    connection = Connection(pool)
    connection.connection_made(cell)
    connection.complete = connection.keeps = connection._sent_all = True
    pool._all.add(connection)
    pool._idle.append(connection)
    assert router.lane.tenants.find(b"acme", 0.0)
    client.connection_made(Slow(client))
    HEADS.find(OK[: -len(b"ok")])  # an answer with an unknown head would not wait for the end of the turn

    client.data_received(get() + handshake())
    connection.data_received(OK)
    await eventually(lambda: b"/chat" in cell.out)
    assert client.write_paused
    assert cell.reads
    connection.data_received(SWITCHING + b"\r\n" + frame(b"x"))
    assert client.pipe is not None
    assert not cell.reads
    client.resume_writing()
    assert cell.reads
    client.connection_lost(None)
    await router.cells.close()
