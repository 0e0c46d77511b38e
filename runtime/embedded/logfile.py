"""A log that never outgrows its limit: one file, and one older beside it (`.1`)."""

import threading
from pathlib import Path
from typing import BinaryIO

LIMIT_BYTES = 5_000_000


class LogFile:
    """Lines of one part, over all its restarts. Invariant: both files together stay below 2 × limit + a line.

    A disk that refuses the log must not stop the part, so write errors only lose lines.
    """

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.path = path
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._size_bytes = 0

    def open(self) -> None:
        """Begin a new file; what the last run wrote becomes `.1`. A second call changes nothing."""
        with self._lock:
            if self._file is None:
                self._turn()

    def write(self, line: bytes) -> None:
        """Add `line`, which ends in a newline."""
        with self._lock:
            if self._file is None:
                return
            try:
                if self._size_bytes + len(line) > self._limit_bytes:
                    self._turn()
                self._file.write(line)
            except OSError:
                return
            self._size_bytes += len(line)

    def close(self) -> None:
        """Lines that come later are lost."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _turn(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(self.path.name + ".new").open("wb", buffering=0)
        if self._file is not None:
            self._file.close()
        if self.path.exists():
            self.path.replace(self.path.with_name(self.path.name + ".1"))
        self.path.with_name(self.path.name + ".new").replace(self.path)
        self._file, self._size_bytes = fresh, 0
