"""Modules that were compiled ahead (`python -m runtime.compiled`) are used in place of their sources.

mypyc turns typed Python into C extensions that do the same, only sooner: the sources stay what is read, tested and
debugged. The compiled form is a cache, like `__pycache__`. It lies in `<package>/__compiled__`, with the digest of
all sources that it was made from, and it is used only while these are what they were and for the Python that it
was made for. So nobody ever runs something else than what is written; who edits a source, interprets it.

`CELLWAY_INTERPRETED=1` has the sources interpreted in any case.
"""

import hashlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
FOLDER = "__compiled__"
DIGEST = "digest"
SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
INTERPRETED = "CELLWAY_INTERPRETED"
SOURCES = ("directory", "runtime")
"""Packages that those which are compiled may import: what was taken for granted of them must still hold."""


class Compiled(MetaPathFinder):
    """Finds the compiled modules of one package."""

    def __init__(self, files: dict[str, Path]) -> None:
        self._files = files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module is, when it was compiled."""
        file = self._files.get(fullname)
        return None if file is None else importlib.util.spec_from_file_location(fullname, file)


def prefer(package: str, root: Path = ROOT) -> bool:
    """From now on import what is compiled of a package; whether anything is. Call it in its `__init__`."""
    folder = root / package / FOLDER
    if os.environ.get(INTERPRETED) or not folder.is_dir():
        return False
    try:
        made_from = (folder / DIGEST).read_text(encoding="ascii")
    except OSError:
        return False
    if made_from != digest(package, root):
        return False
    files = {_name(folder, file): file for file in folder.rglob(f"*{SUFFIX}")}
    sys.meta_path.insert(0, Compiled(files))
    return True


def digest(package: str, root: Path = ROOT) -> str:
    """What a compiled form of a package depends on: its sources, those of what it imports, and this Python."""
    found = hashlib.sha256(SUFFIX.encode())
    for name in sorted({package, *SOURCES}):
        for source in sorted((root / name).rglob("*.py")):
            content = source.read_bytes()
            found.update(b"%b %d\n" % (str(source.relative_to(root)).encode(), len(content)))
            found.update(content)
    return found.hexdigest()


def _name(folder: Path, file: Path) -> str:
    return ".".join(file.relative_to(folder).parts).removesuffix(SUFFIX)
