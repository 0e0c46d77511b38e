"""How many bytes a connection carries, as the kernel counts them: on TCP in Linux; elsewhere it is not known.

One question to the kernel costs about half a microsecond, however much went over the wire.
"""

import asyncio
import socket
import struct
import sys

_TCP, _TCP_INFO, _TOLD = socket.IPPROTO_TCP, getattr(socket, "TCP_INFO", 0), 136
"""Of struct tcp_info in linux/tcp.h as much as is needed."""
_AT, _BYTES = 120, struct.Struct("=QQ").unpack_from
"""There tcpi_bytes_acked and tcpi_bytes_received begin, since Linux 4.1."""


class Wire:
    """Of one connection, from now on. With TLS what TLS makes of it counts; the heads of packets never do."""

    __slots__ = ("_ask", "_seen")

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        found = transport.get_extra_info("socket")
        self._ask = found.getsockopt if found is not None and sys.platform == "linux" else None
        self._seen = 0
        if self.passed() is None:
            self._ask = None

    def passed(self) -> int | None:
        """Bytes both ways since the last time. What was sent counts once it has arrived; None: not known."""
        if self._ask is None:
            return None
        try:
            sent, received = _BYTES(self._ask(_TCP, _TCP_INFO, _TOLD), _AT)
        except (OSError, ValueError, struct.error):
            return None  # it is no TCP, or closed (a ValueError in uvloop); or an old kernel says less
        seen: int = sent + received
        passed = seen - self._seen
        self._seen = seen
        return passed
