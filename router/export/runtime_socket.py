"""Commands to a running HAProxy (management guide, section 9.3), many at once on one connection.

In interactive mode every answer ends with a prompt on a line of its own, so answers to commands that were sent
together can be told apart; no line of an answer begins with a prompt.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from router.export.errors import SocketAway

PROMPT = b"\n> "
ANSWER_SECONDS = 10.0
"""For one batch; HAProxy with a million tenants needs some hundred milliseconds for its slowest command."""
LONGEST_COMMAND_BYTES = 8_192
"""With its payload; a quarter of HAProxy's buffer, which several commands share."""
CHUNK_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Process:
    """Which HAProxy answers. A restart changes it; `stopping` one was replaced by a reload."""

    pid: int
    started_at: int
    stopping: bool


class RuntimeSocket:
    """One connection. SocketAway from any method: it is of no use any more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._inode = 0

    def __repr__(self) -> str:
        return f"<RuntimeSocket {self._path} {'connected' if self._writer else 'away'}>"

    @property
    def replaced(self) -> bool:
        """Whether another HAProxy listens on the path since: a reload leaves our connection with the old one."""
        try:
            return self._path.stat().st_ino != self._inode
        except OSError:
            return True

    async def connect(self) -> None:
        """Reach HAProxy."""
        await self.close()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self._inode = self._path.stat().st_ino
                self._reader, self._writer = await asyncio.open_unix_connection(str(self._path), limit=CHUNK_BYTES)
        except (OSError, TimeoutError) as error:
            raise SocketAway(f"HAProxy's socket {self._path} is away: {error or 'no answer in time'}") from error
        await self.ask(["prompt"])
        [refused] = await self.ask(["set timeout cli 1h"])
        if refused:
            raise SocketAway(f"HAProxy's socket {self._path} does not obey: {refused}")

    async def close(self) -> None:
        """Leave."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(self, commands: Sequence[str]) -> list[str]:
        """The answers, one for each command, in order."""
        if not commands:
            return []
        data = b"".join(command.encode("ascii") + b"\n" for command in commands)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return [_plain(answer) for answer in await self._exchange(data, len(commands))]
        except (OSError, EOFError, TimeoutError) as error:
            raise SocketAway(
                f"HAProxy broke off at {commands[0][:80]!r}: {error or 'no answer in time'}"
            ) from error

    async def _exchange(self, data: bytes, count: int) -> list[bytes]:
        if self._reader is None or self._writer is None:
            raise EOFError("not connected")
        self._writer.write(data)
        pieces: list[bytes] = []
        seen, tail = 0, b""
        while seen < count:
            piece = await self._reader.read(CHUNK_BYTES)
            if not piece:
                raise EOFError("the connection ended")
            pieces.append(piece)
            # A prompt may be cut in two by the pieces' border.
            looked = tail + piece
            seen += looked.count(PROMPT)
            tail = looked[-(len(PROMPT) - 1) :]
        return b"".join(pieces).split(PROMPT)[:count]

    async def process(self) -> Process:
        """Who answers."""
        [info] = await self.ask(["show info"])
        facts = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
        try:
            return Process(int(facts["Pid"]), int(facts["Start_time_sec"]), facts.get("Stopping", "0") != "0")
        except (KeyError, ValueError) as error:
            raise SocketAway(f"what answers at {self._path} is not HAProxy 2.6 or newer: no {error}") from error


def _plain(answer: bytes) -> str:
    """An answer without the prompts that each line of a payload gets."""
    return answer.decode("utf-8", "replace").lstrip("+ ").strip()
