"""Makes the files of a folder of secrets.

The folder is for its owner alone (0700), so nobody else on this machine gets through to the files. Those are
read-only for everybody (0444), because containers run as users of their own, and see of this machine no more than
the files that are mounted into them. Each is written beside its place and put there whole.
"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from console.errors import Refused
from console.stack.contents import Secret, everything

FOLDER_MODE = 0o700
FILE_MODE = 0o444


@dataclass(slots=True)
class Written:
    """What was done; names of files."""

    made: list[str] = field(default_factory=list)
    anew: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def fill(folder: Path, cells: Sequence[str]) -> Written:
    """Make what is missing. A secret that is there stays; what follows from others is made anew when it must be.

    Refused: the folder or one of its files can be used by others, or cannot be used.
    """
    written = Written()
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        _require_own(folder)
        known = _known(folder)
        for each in everything(cells):
            if isinstance(each, Secret):
                if each.name in known:
                    written.kept.append(each.name)
                    continue
                known[each.name] = each.make(secrets.token_bytes)
                _write(folder / each.name, known[each.name])
                written.made.append(each.name)
                continue
            told = each.make(known).strip()
            if known.get(each.name) == told:
                written.kept.append(each.name)
                continue
            (written.anew if each.name in known else written.made).append(each.name)
            known[each.name] = told
            _write(folder / each.name, told)
    except OSError as error:
        raise Refused(f"{folder} cannot be used: {error.strerror or error}") from error
    return written


def _known(folder: Path) -> dict[str, str]:
    found = {}
    for path in folder.iterdir():
        if path.is_file() and not path.name.endswith(".new"):
            found[path.name] = path.read_text(encoding="utf-8").strip()
            if not found[path.name]:
                raise Refused(f"{path} is empty: remove it, and it is made anew")
    return found


def _require_own(folder: Path) -> None:
    """What others can enter is no place for secrets."""
    mode = folder.stat().st_mode & 0o777
    if mode & 0o077:
        raise Refused(f"others can enter {folder} ({mode:03o}): chmod 700 {folder}, if nobody has looked yet")


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.chmod(FILE_MODE)
    beside.rename(path)
