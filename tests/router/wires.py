"""A transport in memory: protocols are driven by hand, without sockets and without waiting."""

import asyncio
from collections.abc import Iterable
from typing import Any


class Wire(asyncio.Transport):
    """Keeps what is written to it. Takes everything at once, so that nobody is ever paused."""

    def __init__(self, peer: str) -> None:
        super().__init__({"peername": (peer, 1)})
        self.out = bytearray()
        self.state = "open"
        """Or how it was ended by its protocol: `half closed`, `closed` or `aborted`."""

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        assert self.state == "open"
        self.out += data

    def writelines(self, list_of_data: "Iterable[bytes | bytearray | memoryview[Any]]") -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.state = "half closed"

    def close(self) -> None:
        if self.state != "aborted":
            self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"

    def is_closing(self) -> bool:
        return self.state in ("closed", "aborted")

    def pause_reading(self) -> None:
        return None

    def resume_reading(self) -> None:
        return None

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return None
