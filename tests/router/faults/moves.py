"""Two cells with fences, and a tenant that moves from the one to the other while it is asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from directory.memory_feed import MemoryFeed
from tests.router.upstreams import OK, FakeCell, Seen, move, serving, snapshot_of

OLD_EPOCH, NEW_EPOCH = 5, 9


@dataclass
class Fenced:
    """A cell that serves acme at one epoch, or at none, and tells which one its fence knows.

    `done` has the body of every POST that it carried out, in order.
    """

    cell: FakeCell
    serves: int | None
    knows: int
    done: list[bytes] = field(default_factory=list)
    refused: int = 0

    async def script(self, seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if seen.values(b"cellway-tenant") == [b"acme"] and seen.values(b"cellway-epoch") != [b"%d" % self._serves]:
            self.refused += 1
            writer.write(b"HTTP/1.1 421 Misdirected Request\r\nCellway-Epoch: %d\r\n" % self.knows)
            writer.write(b"Content-Length: 3\r\n\r\nno!")
            return
        if seen.method == b"POST":
            self.done.append(seen.body)
        writer.write(OK)

    @property
    def _serves(self) -> int:
        return -1 if self.serves is None else self.serves


@dataclass
class Switch:
    """A tenant's move in its steps. `tells`: the old cell's fence knows of the new epoch."""

    feed: MemoryFeed
    old: Fenced
    new: Fenced
    tells: bool = True

    def fence(self) -> None:
        """The old cell refuses from now on."""
        self.old.serves = None
        if self.tells:
            self.old.knows = NEW_EPOCH

    async def publish(self) -> None:
        """The directory says where the tenant lives now."""
        await move(self.feed, "acme", "new", NEW_EPOCH)

    def activate(self) -> None:
        """The new cell serves it."""
        self.new.serves = NEW_EPOCH


@contextlib.asynccontextmanager
async def about_to_move() -> AsyncIterator[Switch]:
    """acme in the old cell, beta beside it and in no danger."""
    feed = MemoryFeed()
    async with serving(FakeCell()) as old, serving(FakeCell()) as new:
        cells = {"old": old.address, "new": new.address}
        await feed.fill(snapshot_of(cells, {"acme": ("old", OLD_EPOCH), "beta": ("old", 6)}))
        switch = Switch(feed, Fenced(old, OLD_EPOCH, OLD_EPOCH), Fenced(new, None, NEW_EPOCH))
        old.script, new.script = switch.old.script, switch.new.script
        yield switch
