"""Modules that were compiled ahead (`python -m runtime.compiled`) are used in place of their sources.

mypyc turns typed Python into C extensions that do the same, only sooner: the sources stay what is read, tested and
debugged. The compiled form is a cache, like `__pycache__`. It lies in `<package>/__compiled__`, in a folder called
by the digest of all sources that it was made from, of the Python and of the machine. So it is used only while the
sources are what they were; who edits one, interprets it. What cannot be read or loaded is not there.

`CELLWAY_INTERPRETED=1` has the sources interpreted in any case.
"""

import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import platform
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
FOLDER = "__compiled__"
SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
INTERPRETED = "CELLWAY_INTERPRETED"
SOURCES = ("directory", "runtime")
"""Packages that those which are compiled may import: what was taken for granted of them must still hold."""
MADE_BY = b"1"
"""To be raised when all should be compiled anew, because of another mypyc or other options."""


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
    if os.environ.get(INTERPRETED) or not (root / package / FOLDER).is_dir():
        return False
    try:
        folder = place(package, root)
        files = {_name(folder, file): file for file in folder.rglob(f"*{SUFFIX}")}
    except OSError:
        return False
    library = f"{package}__mypyc"
    if library not in files:
        return False
    finder = Compiled(files)
    sys.meta_path.insert(0, finder)
    try:
        importlib.import_module(library)  # all of the code is in it
    except ImportError:
        sys.meta_path.remove(finder)
        return False
    return True


def place(package: str, root: Path = ROOT) -> Path:
    """Where the compiled form of the sources as they are now is, or would be. OSError."""
    return root / package / FOLDER / digest(package, root)


def digest(package: str, root: Path = ROOT) -> str:
    """What a compiled form depends on: the sources of the package and of what it imports, Python and machine."""
    found = hashlib.sha256(b"%b %b %b\n" % (MADE_BY, SUFFIX.encode(), platform.machine().encode()))
    for name in sorted({package, *SOURCES}):
        for source in sorted((root / name).rglob("*.py")):
            content = source.read_bytes()
            found.update(b"%b %d\n" % (str(source.relative_to(root)).encode(), len(content)))
            found.update(content)
    return found.hexdigest()[:32]


def _name(folder: Path, file: Path) -> str:
    return ".".join(file.relative_to(folder).parts).removesuffix(SUFFIX)
