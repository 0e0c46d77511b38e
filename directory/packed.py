"""Tenants in little memory: some 20 bytes more than their names, found within 2 µs, loaded without an object each.

Each tenant is a line: `name <TAB> number of its cell <TAB> epoch`, and `<TAB> requests a second <TAB> burst` where
it has a limit (and in here one more tab, so that nobody has to look for the line's end). The CRC-32 of its name
says which block the line is in; a block is one bytes object with some four lines. There are as many blocks as the
tenants need: when they grow by four, one block is divided in two (linear hashing: Litwin, VLDB 1980), so that no
change ever has to move more than a block. Names that were made to share a block are only slow to find.

Blocks lie on pages. A copy shares all pages, and whoever changes one takes a page of his own first: copying and
comparing cost next to nothing, however many tenants there are. No I/O.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, repeat, zip_longest
from typing import Any, NamedTuple
from zlib import crc32

from directory.turns import Turns
from directory.values import Rate, TenantEntry

LINES = 4
"""Tenants a block, on average. Fewer cost memory (some 50 bytes a block), more cost time to look through."""
PAGE_BITS = 9
PAGE = 1 << PAGE_BITS
"""Blocks a page: a change to a shared page copies so many pointers, which takes a few µs."""
MOST_EXPECTED = 1 << 24
"""Room is made beforehand for at most so many tenants, whatever a header says."""
_BATCH = 256
_PART = 32
_PIECE = 4
_MOST_RATES = 1000
_EMPTY = b"\n"
_EMPTY_PAGE = [_EMPTY] * PAGE
_NUMBER = rb"(?:0|[1-9][0-9]{0,18}+)"
_RATE = rb"\t[0-9.e+-]{1,32}+\t" + _NUMBER
_LINE = re.compile(rb"^([!-~]{1,255}+\t)[0-9]{1,6}+\t" + _NUMBER + rb"(?:" + _RATE + rb")?+\n", re.MULTILINE)
# One group each: tuples by the thousand would make the collector look through everything that there is.
_KEYS = re.compile(rb"\n([^\t]++)\t")
_CELLS = re.compile(rb"^[^\t]++\t([^\t]++)", re.MULTILINE)
_RATES = re.compile(rb"^[^\t]++\t[^\t]++\t[0-9]++\t([^\t]++)", re.MULTILINE)
_EPOCHS = re.compile(rb"(\n[^\t]++\t)[0-9]++\t([0-9]++)")
_LINE_END = 10
_BEFORE = crc32(b"\n")
"""A name is hashed as it is looked for: after a line's end, and with the tab that follows it."""

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

    __slots__ = ("_blocks", "_cells", "_count", "_mask", "_numbers", "_own", "_pages", "_rates")

    def __init__(self, cells: Iterable[str] = (), expected: int = 0) -> None:
        self._cells: dict[bytes, str] = {}
        """Names of cells by the number that lines use."""
        self._numbers: dict[str, int] = {}
        for cell_id in cells:
            self._number(cell_id)
        self._rates: dict[bytes, Rate] = {}
        self._count = 0
        self._blocks = blocks = min(expected, MOST_EXPECTED) // LINES + 1
        self._mask = (1 << (blocks - 1).bit_length()) - 1
        # All begin as one, so that making room for a million is not a long turn of its own.
        self._pages = [_EMPTY_PAGE] * (blocks // PAGE) + [[_EMPTY] * (blocks % PAGE)] * (blocks % PAGE > 0)
        self._own: set[int] = set()

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
            key = f"\n{tenant_id}\t".encode()
        except UnicodeEncodeError:
            return None
        index = crc32(key) & self._mask
        if index >= self._blocks:
            index &= self._mask >> 1
        _, found, rest = self._pages[index >> PAGE_BITS][index & (PAGE - 1)].partition(key)
        if not found or "\t" in tenant_id:
            return None
        cell, epoch, rate = rest.split(b"\t", 2)
        entry: TenantEntry = _new(TenantEntry)
        _set_tenant(entry, tenant_id)
        _set_cell(entry, self._cells[cell])
        _set_epoch(entry, int(epoch))
        _set_rate(entry, None if rate[0] == _LINE_END else self._rate(rate))
        return entry

    def put(self, entry: TenantEntry) -> None:
        """Take an entry in place of what the tenant had. ValueError when no line can say it."""
        line = self._line(entry)
        index, at = self._place(b"\n" + line[: line.index(b"\t") + 1])
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
        index, at = self._place(f"\n{tenant_id}\t".encode())
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
        for key, epoch in _EPOCHS.findall(block):
            against = known.get(key) or other._epoch(key)
            if against is None:
                missing += 1
            elif int(epoch) > int(against):
                found.newer.append(self[key[1:-1].decode()])
        return Difference(missing, found.newer)

    def pieces(self) -> Iterator[bytes]:
        """All lines, a few pages at a time; safe to read from another thread when nobody changes this one."""
        for first in range(0, len(self._pages), _PIECE):
            blocks = [block[1:] for page in self._pages[first : first + _PIECE] for block in page]
            yield b"".join(blocks).replace(b"\t\n", b"\n")

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
        return line[:-1] + b"\t\n"

    def _place(self, key: bytes) -> tuple[int, int]:
        """The block of a name (between a line's end and a tab), and where its line begins there: 0 for nowhere."""
        index = crc32(key) & self._mask
        if index >= self._blocks:
            index &= self._mask >> 1
        return index, self._pages[index >> PAGE_BITS][index & (PAGE - 1)].find(key) + 1

    def _epoch(self, key: bytes) -> bytes | None:
        index, at = self._place(key)
        block = self._pages[index >> PAGE_BITS][index & (PAGE - 1)]
        return block[at : block.index(b"\n", at)].split(b"\t")[2] if at else None

    def _rate(self, rest: bytes) -> Rate:
        """Many have the same, so that there is one object for all of them."""
        text = rest[: rest.index(b"\t\n")]
        rate = self._rates.get(text)
        if rate is None:
            if len(self._rates) >= _MOST_RATES:
                self._rates.clear()
            per_second, burst = text.split(b"\t")
            rate = self._rates[text] = Rate(float(per_second), int(burst))
        return rate

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
            (leave if crc32(line[: line.index(b"\t") + 1], _BEFORE) & mask == index else stay).append(line)
        page[parent & (PAGE - 1)] = b"\n" + b"".join(stay)
        if index & (PAGE - 1) == 0:
            self._own.add(len(self._pages))
            self._pages.append([])
        self._owned(index >> PAGE_BITS).append(b"\n" + b"".join(leave))
        self._blocks, self._mask = index + 1, mask


class Packing:
    """Packed tenants that are being made of lines. In the order of `Packed.pieces` they take the least memory."""

    def __init__(self, cells: Iterable[str], expected: int) -> None:
        self._made = Packed(cells, expected)

    def __len__(self) -> int:
        return self._made._count

    def number(self, cell_id: str) -> int:
        """By which number lines name a cell."""
        return self._made._number(cell_id)

    def take(self, text: bytes) -> None:
        """Add whole lines. ValueError for anything else, and for cells that are not listed."""
        names = _LINE.findall(text)
        if len(names) != text.count(b"\n") or not text.endswith(b"\n"):
            raise ValueError("not a tenant's line")
        if not self._made._cells.keys() >= set(_CELLS.findall(text)):
            raise ValueError("a cell that is not listed")
        if not all(math.isfinite(float(rate)) for rate in set(_RATES.findall(text))):
            raise ValueError("a rate that is no number")
        made = self._made
        mask, blocks, pages, own = made._mask, made._blocks, made._pages, made._own
        lines = text.replace(b"\n", b"\t\n").splitlines(keepends=True)
        for crc, line in zip(map(crc32, names, repeat(_BEFORE)), lines, strict=True):
            index = crc & mask
            if index >= blocks:
                index &= mask >> 1
            number = index >> PAGE_BITS
            page = pages[number] if number in own else made._owned(number)
            page[index & (PAGE - 1)] += line
        made._count += len(lines)

    def end(self) -> Turns[Packed]:
        """All that was taken. ValueError when a tenant is there twice."""
        for page in self._made._pages:
            for first in range(0, len(page), _BATCH):
                keys = _KEYS.findall(b"".join(page[first : first + _BATCH]))
                if len(set(keys)) < len(keys):
                    raise ValueError("a tenant is there twice")
                yield
        return self._made


def pack(cells: Iterable[str], entries: Iterable[TenantEntry], expected: int) -> Turns[Packed]:
    """Packed tenants from entries; those that live nowhere are left out. ValueError when one cannot be a line."""
    packing = Packing(cells, expected)
    living = (entry for entry in entries if entry.cell_id is not None)
    while batch := list(islice(living, _BATCH)):
        packing.take("".join(_text(entry, packing.number(entry.cell_id or "")) for entry in batch).encode())
        yield
    return (yield from packing.end())


def _text(entry: TenantEntry, number: int) -> str:
    rate = "" if entry.rate is None else f"\t{entry.rate.per_second!r}\t{entry.rate.burst}"
    return f"{entry.tenant_id}\t{number}\t{entry.epoch}{rate}\n"
