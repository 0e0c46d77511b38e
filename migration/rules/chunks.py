"""Cuts a table into chunks by its key, each of about as many bytes. A chunk is one transaction."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

CHUNK_BYTES = 32 * 1024 * 1024
"""A second or less of copying on a small machine; so much is done again after a crash."""
FIRST_ROWS = 500
"""Of a table whose rows' size is not known yet: they may have megabytes each."""
MOST_ROWS = 500_000
GROWTH = 8
"""A chunk has at most so many times the rows of the one before: rows may be larger further on."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows whose key is above `after`, and not above `to`. None: from the first, or to the last."""

    after: tuple[str, ...] | None = None
    to: tuple[str, ...] | None = None

    @property
    def last(self) -> bool:
        """Nothing of the table comes after it."""
        return self.to is None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a table is copied, as it is kept at the destination together with the rows."""

    after: tuple[str, ...] | None = None
    done: bool = False
    rows: int = 0
    bytes: int = 0
    row_bytes: int = 0
    """Of a row of the last chunk, on average: they may be larger there than they were before."""

    def chunk_rows(self, share: float = 1.0, most: float = math.inf) -> int:
        """How many rows the next chunk should have; `share` of a usual one, and `most` at most."""
        if not self.rows:
            return max(1, int(min(FIRST_ROWS, most) * share))
        fitting = CHUNK_BYTES // max(self.row_bytes, self.bytes // self.rows, 1)
        return max(1, min(int(min(fitting, MOST_ROWS, most) * share), self.rows * GROWTH))

    def plus(self, chunk: Chunk, rows: int, bytes_copied: int) -> "Progress":
        """After a chunk."""
        row_bytes = bytes_copied // rows if rows else self.row_bytes
        return Progress(chunk.to, chunk.last, self.rows + rows, self.bytes + bytes_copied, row_bytes)

    def as_json(self) -> dict[str, Any]:
        """What the destination keeps."""
        return asdict(self)


def progress_key(relation: str) -> str:
    """Under what name a table's progress is kept among a move's."""
    return f"copied {relation}"


def progress_of(notes: Mapping[str, Any], relation: str) -> Progress:
    """How far a table is, by what the destination kept."""
    kept = notes.get(progress_key(relation))
    if kept is None:
        return Progress()
    after = kept["after"]
    return Progress(**{**kept, "after": None if after is None else tuple(after)})
