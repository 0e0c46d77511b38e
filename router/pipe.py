"""A WebSocket after its handshake: bytes both ways, untouched (RFC 6455).

Only where frames end is watched, because a router that stops has to say so: a Close frame (1012, "service
restart", IANA's registry of close codes) can stand between two frames, and nowhere else.
"""

import secrets
from typing import TYPE_CHECKING

from router import metrics
from router.rules.frames import Frames, close_frame
from router.upstream.connection import Connection

if TYPE_CHECKING:
    from router.client import Client

SERVICE_RESTART = 1012


class Pipe:
    """Between one client and one cell. Slow sides are waited for: see `Client.hold` and `Connection.pause`."""

    __slots__ = ("_cell", "_client", "_from_cell", "_from_client", "_told_cell", "_told_client")

    def __init__(self, client: "Client", cell: Connection) -> None:
        self._client, self._cell = client, cell
        self._from_client, self._from_cell = Frames(), Frames()
        self._told_client = self._told_cell = False
        """Whether nothing may follow there: a Close frame of our own was sent, or the other side ended."""
        metrics.PIPES.inc()

    def closed(self) -> None:
        """Either side is gone."""
        metrics.PIPES.dec()

    def from_client(self, data: bytes, *, draining: bool = False) -> None:
        """Pass on what a client sent."""
        end = self._from_client.feed(data)
        if self._told_cell:
            return
        if draining and end is not None and not self._from_client.close_seen:
            self._cell.send(data[:end] + close_frame(SERVICE_RESTART, secrets.token_bytes(4)))
            self._told_cell = True
        else:
            self._cell.send(data)

    def from_cell(self, data: bytes, *, draining: bool = False) -> None:
        """Pass on what a cell sent."""
        end = self._from_cell.feed(data)
        if self._told_client:
            return
        if draining and end is not None and not self._from_cell.close_seen:
            self._client.write(data[:end] + close_frame(SERVICE_RESTART))
            self._told_client = True
        else:
            self._client.write(data)

    def drain(self) -> None:
        """Say to both sides that this ends, as soon as a frame of theirs does."""
        if self._from_cell.at_boundary and not (self._told_client or self._from_cell.close_seen):
            self._client.write(close_frame(SERVICE_RESTART))
            self._told_client = True
        if self._from_client.at_boundary and not (self._told_cell or self._from_client.close_seen):
            self._cell.send(close_frame(SERVICE_RESTART, secrets.token_bytes(4)))
            self._told_cell = True

    def cell_gone(self) -> None:
        """The cell closed: so does the client's connection, once it took what was sent.

        It may still be sending, and a reset would take from it what the cell said last.
        """
        self._told_client = True
        self._client.finish(linger=True)

    def client_ended(self) -> None:
        """The client sends no more, but hears what the cell still says."""
        self._told_cell = True
        self._cell.end()
