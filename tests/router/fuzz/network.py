"""An event loop whose connections are memory, and whose time goes on when told.

Whoever calls `create_connection` for a port that is listened on here is connected without a socket. Everything
else is asyncio as it is, so the code under test does not know.
"""

import asyncio
import selectors
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

HIGH_BYTES = 65_536
"""What a transport takes for a peer that does not read, before it asks its protocol to pause: as asyncio's."""
Factory = Callable[[], asyncio.BaseProtocol]


class _Socket:
    """What protocols ask of their transport's socket."""

    family, type, proto = socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP

    def setsockopt(self, *_option: object) -> None:
        return None

    def getsockopt(self, *_option: object) -> int:
        return 0

    def fileno(self) -> int:
        return -1


class MemoryTransport(asyncio.Transport):
    """One end of a connection. `delivered`: how many bytes its protocol was given; `held`: how many wait."""

    def __init__(self, loop: "MemoryLoop", protocol: asyncio.BaseProtocol, peer_port: int) -> None:
        super().__init__({"peername": ("127.0.0.1", peer_port), "sockname": ("127.0.0.1", 1), "socket": _Socket()})
        self._loop, self._protocol = loop, protocol
        self.peer: MemoryTransport = self
        self._inbox: deque[bytes] = deque()
        self.held = 0
        self.delivered = 0
        self._reading, self._writing_paused = True, False
        self._closing = self._lost = self._eof = self._eof_told = False
        self._high, self._low = HIGH_BYTES, HIGH_BYTES // 4

    # --- what its protocol calls ---

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._loop.call_soon(self._deliver)

    def get_write_buffer_size(self) -> int:
        return self.peer.held

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = HIGH_BYTES if high is None else high
        self._low = self._high // 4 if low is None else low

    def can_write_eof(self) -> bool:
        return True

    def write(self, data: Any) -> None:
        if self._closing or self.peer._lost or not data:
            return
        self.peer._inbox.append(bytes(data))
        self.peer.held += len(data)
        self._loop.call_soon(self.peer._deliver)
        if self.peer.held > self._high and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def write_eof(self) -> None:
        self.peer._eof = True
        self._loop.call_soon(self.peer._deliver)

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.write_eof()
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        if not self._lost:
            self._closing = True
            self._loop.call_soon(self._lose, None)
            self.peer._closing = True
            self._loop.call_soon(self.peer._lose, ConnectionResetError("reset by its peer"))

    @property
    def is_stuck(self) -> bool:
        """Whether its protocol does not take what is there."""
        return self.held > 0 and not self._reading

    # --- what the loop calls ---

    def _deliver(self) -> None:
        while self._inbox and self._reading and not self._closing:
            data = self._inbox.popleft()
            self.held -= len(data)
            self.delivered += len(data)
            self._loop.guarded(self._protocol.data_received, data)  # type: ignore[attr-defined]
            self.peer._drained(self.held)
        if self._eof and not self._inbox and not self._eof_told and not self._closing and self._reading:
            self._eof_told = True
            if not self._loop.guarded(self._protocol.eof_received):  # type: ignore[attr-defined]
                self.close()

    def _drained(self, left: int) -> None:
        if self._writing_paused and left <= self._low and not self._lost:
            self._writing_paused = False
            self._loop.guarded(self._protocol.resume_writing)

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._loop.guarded(self._protocol.connection_lost, error)


class MemoryLoop(asyncio.SelectorEventLoop):
    """Collects what escapes in `escaped`."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__(selector)
        self._factories: dict[int, Factory] = {}
        self._ahead_seconds = 0.0
        self.escaped: list[str] = []
        self.set_exception_handler(lambda _loop, context: self._escape(context))

    def time(self) -> float:
        return super().time() + getattr(self, "_ahead_seconds", 0.0)

    def advance(self, seconds: float) -> None:
        """Let so much time have passed."""
        self._ahead_seconds += seconds

    def _escape(self, context: dict[str, Any]) -> None:
        self.escaped.append(f"{context.get('message')}: {context.get('exception')!r}")

    def guarded(self, callback: Callable[..., Any], *arguments: Any) -> Any:
        """What `callback` returns; what it raises is noted, as a transport would tell the loop's handler."""
        try:
            return callback(*arguments)
        except Exception as error:
            self.call_exception_handler({"message": f"{callback.__qualname__} failed", "exception": error})
            return None

    def listen(self, port: int, factory: Factory) -> None:
        """Whoever connects to this port gets what `factory` makes."""
        self._factories[port] = factory

    async def create_server(self, protocol_factory: Factory, *arguments: Any, **options: Any) -> Any:  # type: ignore[override]
        server = await super().create_server(protocol_factory, *arguments, **options)
        self.listen(server.sockets[0].getsockname()[1], protocol_factory)
        return server

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Factory, host: str | None = None, port: int | None = None, **_options: Any
    ) -> tuple[MemoryTransport, asyncio.BaseProtocol]:
        if port not in self._factories:
            raise ConnectionRefusedError(f"nobody listens at {host}:{port}")
        near, far = (MemoryTransport(self, made(), 1) for made in (protocol_factory, self._factories[port]))
        near.peer, far.peer = far, near
        for end in (far, near):
            self.guarded(end.get_protocol().connection_made, end)
        await asyncio.sleep(0)
        return near, near.get_protocol()


class _Jump(selectors.DefaultSelector):
    """Waits for nobody: when there is nothing to do, it is as late as the loop would have waited."""

    passed_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0.0 if timeout is not None else None)
        if not ready and timeout is not None:
            self.passed_seconds += max(0.0, timeout)
        return ready


class SimulatedLoop(MemoryLoop):
    """Time goes on only while everybody waits for it, and then at once: the machine may be as slow as it is."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.passed_seconds + getattr(self, "_ahead_seconds", 0.0)
