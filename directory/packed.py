"""Tenants in little memory: some 30 bytes each, found within 2 µs, loaded without an object for each. No I/O.

Each tenant is a line: `name <TAB> number of its cell <TAB> epoch`, and `<TAB> requests a second <TAB> burst` where
it has a limit. The CRC-32 of its name says which block the line is in; a block is one bytes object with some eight
lines. There are as many blocks as the tenants need: when they grow by eight, one block is divided in two (linear
hashing: Litwin, VLDB 1980), so no change ever has to move more than a block or two. Names that were made to share
a block are only slow to find.

Blocks lie on pages. A copy shares all pages, and whoever changes one takes a page of his own first: copying and
comparing cost next to nothing, however many tenants there are.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, zip_longest
from typing import Any, NamedTuple
from zlib import crc32

from directory.turns import Turns
from directory.values import Rate, TenantEntry

LINES = 8
"""Tenants a block, on average. Fewer cost memory (a block's own is 49 bytes), more cost time to look through."""
PAGE_BITS = 9
PAGE = 1 << PAGE_BITS
"""Blocks a page: a change to a shared page copies so many pointers, which takes a few µs."""
MOST_EXPECTED = 1 << 24
"""Room is made beforehand for at most so many tenants, whatever a header says."""
_BATCH = 256
_PART = 32
_EMPTY = b"\n"
_NUMBER = rb"(?:0|[1-9][0-9]{0,18}+)"
_RATE = rb"\t([0-9.e+-]{1,32}+)\t" + _NUMBER
_LINE = re.compile(rb"^([!-~]{1,255}+)\t([0-9]{1,6}+)\t" + _NUMBER + rb"(?:" + _RATE + rb")?+\n", re.MULTILINE)
_EPOCHS = re.compile(rb"\n([^\t]++)\t[0-9]++\t([0-9]++)")

# The constructor of a frozen dataclass takes twice as long, and that is a good part of a look-up.
_new: Any = object.__new__
_set_tenant, _set_cell, _set_epoch, _set_rate = (
    TenantEntry.__dict__[name].__set__ for name in ("tenant_id", "cell_id", "epoch", "rate")
)


class Difference(NamedTuple):
    """What a part of one holds that another does not: how many tenants, and the entries at higher epochs."""

    missing: int
    newer: list[TenantEntry]


class Packed(Mapping[str, TenantEntry]):
    """tenant → entry. Whoever was given one by a snapshot does not change it, but a copy of it."""

    __slots__ = ("_blocks", "_cells", "_count", "_mask", "_numbers", "_own", "_pages")

    def __init__(self, cells: Iterable[str] = (), expected: int = 0) -> None:
        self._cells: dict[bytes, str] = {}
        """Names of cells by the number that lines use."""
        self._numbers: dict[str, int] = {}
        for cell_id in cells:
            self._number(cell_id)
        self._count = 0
        self._blocks = blocks = min(expected, MOST_EXPECTED) // LINES + 1
        self._mask = (1 << (blocks - 1).bit_length()) - 1
        self._pages = [[_EMPTY] * min(PAGE, blocks - first) for first in range(0, blocks, PAGE)]
        self._own = set(range(len(self._pages)))

    def __repr__(self) -> str:
        return f"<Packed {self._count} tenants in {self._blocks} blocks>"

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        for page in self._pages:
            for block in page:
                for line in block.split(b"\n"):
                    if line:
                        yield line[: line.index(b"\t")].decode()

    def __getitem__(self, tenant_id: str) -> TenantEntry:
        entry = self.find(tenant_id)
        if entry is None:
            raise KeyError(tenant_id)
        return entry

    @property
    def cells(self) -> list[str]:
        """Names of cells; a line's number is the place in this list."""
        return list(self._numbers)

    def find(self, tenant_id: str) -> TenantEntry | None:
        """A tenant's entry, None when it is not here. One flat function, because every request may need it."""
        try:
            name = tenant_id.encode()
        except UnicodeEncodeError:
            return None
        index = crc32(name) & self._mask
        if index >= self._blocks:
            index &= self._mask >> 1
        block = self._pages[index >> PAGE_BITS][index & (PAGE - 1)]
        at = block.find(b"\n%b\t" % name) + 1
        if not at:
            return None
        fields = block[at : block.index(b"\n", at)].split(b"\t")
        if fields[0] != name:  # a name with a tab or a line's end in it
            return None
        entry: TenantEntry = _new(TenantEntry)
        _set_tenant(entry, tenant_id)
        _set_cell(entry, self._cells[fields[1]])
        _set_epoch(entry, int(fields[2]))
        _set_rate(entry, Rate(float(fields[3]), int(fields[4])) if len(fields) > 3 else None)
        return entry

    def put(self, entry: TenantEntry) -> None:
        """Take an entry in place of what the tenant had. ValueError when no line can say it."""
        line = self._line(entry)
        index, at = self._place(line[: line.index(b"\t")])
        page, place = self._owned(index >> PAGE_BITS), index & (PAGE - 1)
        block = page[place]
        if at:
            page[place] = block[:at] + line + block[block.index(b"\n", at) + 1 :]
            return
        page[place] = block + line
        self._count += 1
        if self._count > LINES * self._blocks:
            self._grow()

    def remove(self, tenant_id: str) -> None:
        """Forget a tenant, if it is here."""
        if self.find(tenant_id) is None:
            return
        index, at = self._place(tenant_id.encode())
        page, place = self._owned(index >> PAGE_BITS), index & (PAGE - 1)
        page[place] = page[place][:at] + page[place][page[place].index(b"\n", at) + 1 :]
        self._count -= 1

    def copy(self) -> "Packed":
        """Another one that is equal now. Either may change without the other."""
        made = Packed(self._numbers)
        made._count, made._blocks, made._mask = self._count, self._blocks, self._mask
        made._pages = self._pages.copy()
        self._own, made._own = set(), set()
        return made

    def take(self, text: bytes) -> None:
        """Add whole lines, of tenants that are not here yet: `doubled` looks whether any were.

        ValueError for anything that is not such a line; then some of them may be here.
        """
        found = _LINE.findall(text)
        if len(found) != text.count(b"\n") or not text.endswith(b"\n"):
            raise ValueError("not a tenant's line")
        names, numbers, rates = zip(*found, strict=True)
        if not self._cells.keys() >= set(numbers):
            raise ValueError("a cell that is not listed")
        if not all(math.isfinite(float(rate)) for rate in set(rates) if rate):
            raise ValueError("a rate that is no number")
        self._add(names, text.splitlines(keepends=True))

    def _add(self, names: Iterable[bytes], lines: list[bytes]) -> None:
        for number in range(len(self._pages)) if len(self._own) < len(self._pages) else ():
            self._owned(number)
        mask, blocks, pages = self._mask, self._blocks, self._pages
        for crc, line in zip(map(crc32, names), lines, strict=True):
            index = crc & mask
            if index >= blocks:
                index &= mask >> 1
            pages[index >> PAGE_BITS][index & (PAGE - 1)] += line
        self._count += len(lines)
        while self._count > LINES * self._blocks:
            self._grow()

    def doubled(self) -> Turns[bool]:
        """Whether any tenant is here twice."""
        for page in self._pages:
            for first in range(0, len(page), _BATCH):
                text = b"".join(page[first : first + _BATCH])
                names = [name for name, _ in _EPOCHS.findall(text)]
                if len(set(names)) < len(names):
                    return True
                yield
        return False

    def against(self, other: "Packed") -> Iterator[Difference]:
        """What is here and not in the other, or here at a higher epoch, in parts; neither may change meanwhile."""
        nothing: list[bytes] = []
        for page, beside in zip_longest(self._pages, other._pages[: len(self._pages)], fillvalue=nothing):
            if page is beside:
                continue
            for first in range(0, len(page), _PART):
                found = Difference(0, [])
                blocks = page[first : first + _PART]
                for block, like in zip_longest(blocks, beside[first : first + len(blocks)], fillvalue=_EMPTY):
                    if block != like:
                        found = self._compared(block, like, other, found)
                yield found

    def _compared(self, block: bytes, like: bytes, other: "Packed", found: Difference) -> Difference:
        """One block more, next to the other's in the same place: most of what it needs is there."""
        missing, known = found.missing, dict(_EPOCHS.findall(like))
        for name, epoch in _EPOCHS.findall(block):
            against = known.get(name) or other._epoch(name)
            if against is None:
                missing += 1
            elif int(epoch) > int(against):
                found.newer.append(self[name.decode()])
        return Difference(missing, found.newer)

    def pieces(self) -> Iterator[bytes]:
        """All lines, a page at a time; safe to read from another thread when nobody changes this one."""
        for page in self._pages:
            yield b"".join([block[1:] for block in page])

    def release(self) -> Turns[None]:
        """Let go of everything: all at once would keep the loop for a while. Nothing may be asked afterwards."""
        while self._pages:
            self._pages.pop()
            yield

    def _number(self, cell_id: str) -> int:
        number = self._numbers.setdefault(cell_id, len(self._numbers))
        self._cells[b"%d" % number] = cell_id
        return number

    def _line(self, entry: TenantEntry) -> bytes:
        if entry.cell_id is None:
            raise ValueError(f"{entry!r} lives nowhere")
        line = _text(entry, self._number(entry.cell_id)).encode()
        if _LINE.fullmatch(line) is None or (entry.rate and not math.isfinite(entry.rate.per_second)):
            raise ValueError(f"{entry!r} cannot be a line")
        return line

    def _place(self, name: bytes) -> tuple[int, int]:
        """The block of a name, and where its line begins there: 0 when it has none."""
        index = crc32(name) & self._mask
        if index >= self._blocks:
            index &= self._mask >> 1
        return index, self._pages[index >> PAGE_BITS][index & (PAGE - 1)].find(b"\n%b\t" % name) + 1

    def _epoch(self, name: bytes) -> bytes | None:
        index, at = self._place(name)
        block = self._pages[index >> PAGE_BITS][index & (PAGE - 1)]
        return block[at : block.index(b"\n", at)].split(b"\t")[2] if at else None

    def _owned(self, number: int) -> list[bytes]:
        """A page that nobody else has."""
        if number not in self._own:
            self._pages[number] = self._pages[number].copy()
            self._own.add(number)
        return self._pages[number]

    def _grow(self) -> None:
        """One more block, which takes over its part of the lines of one that is there."""
        index = self._blocks
        mask = (1 << index.bit_length()) - 1
        parent = index & (mask >> 1)
        page = self._owned(parent >> PAGE_BITS)
        stay, leave = [b""], [b""]
        for line in page[parent & (PAGE - 1)][1:].splitlines(keepends=True):
            (leave if crc32(line[: line.index(b"\t")]) & mask == index else stay).append(line)
        page[parent & (PAGE - 1)] = b"\n" + b"".join(stay)
        if index & (PAGE - 1) == 0:
            self._own.add(len(self._pages))
            self._pages.append([])
        self._owned(index >> PAGE_BITS).append(b"\n" + b"".join(leave))
        self._blocks, self._mask = index + 1, mask


def pack(cells: Iterable[str], entries: Iterable[TenantEntry], expected: int) -> Turns[Packed]:
    """Packed tenants from entries, of which each is another tenant's; those that live nowhere are left out."""
    made = Packed(cells, expected)
    living = (entry for entry in entries if entry.cell_id is not None)
    while batch := list(islice(living, _BATCH)):
        made.take("".join(_text(entry, made._number(entry.cell_id or "")) for entry in batch).encode())
        yield
    return made


def _text(entry: TenantEntry, number: int) -> str:
    rate = "" if entry.rate is None else f"\t{entry.rate.per_second!r}\t{entry.rate.burst}"
    return f"{entry.tenant_id}\t{number}\t{entry.epoch}{rate}\n"
