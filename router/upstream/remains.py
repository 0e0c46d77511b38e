"""What a cell said before it closed, when the router learns of that by a write that fails.

A cell may answer and close while more is on its way to it. Then the next write fails, and uvloop closes the
socket at once, with the answer in it unread. The kernel keeps what came for as long as anybody has the socket
open: so a second descriptor of it is kept while both sides may talk at once. Over TLS what lies there is no use to
us.
"""

import asyncio
import os
from contextlib import suppress
from typing import Final

MOST_BYTES: Final = 1_048_576
"""More than this is not fetched: what comes of a connection after its end is not held up by a slow reader."""
PIECE_BYTES: Final = 65_536


class Remains:
    """A second descriptor of a connection's socket, which must be closed.

    Without a file to spare, what is unread is lost as it would be.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, transport: asyncio.Transport) -> None:
        self._descriptor = -1
        socket = transport.get_extra_info("socket")
        if socket is not None and transport.get_extra_info("ssl_object") is None:
            with suppress(OSError):
                self._descriptor = os.dup(socket.fileno())

    def __repr__(self) -> str:
        return f"<Remains {'kept' if self._descriptor >= 0 else 'not kept'}>"

    def read(self) -> bytes:
        """What came and was not read, as far as the kernel has it."""
        came = b""
        with suppress(OSError):  # there is no more now, or the reset itself, which stands behind what came
            while self._descriptor >= 0 and len(came) < MOST_BYTES:
                data = os.read(self._descriptor, PIECE_BYTES)
                if not data:
                    break
                came += data
        return came

    def close(self) -> None:
        """Give the descriptor back."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
