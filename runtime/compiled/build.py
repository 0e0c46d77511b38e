"""Compiles modules of a package with mypyc, beside their sources.

All of them make one group, so that calls between them cost what they cost in C.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from runtime.compiled import DIGEST, FOLDER, ROOT, digest

OPTIONS = ("--config-file=", "--ignore-missing-imports", "--follow-imports=silent")
OPTIMISATION = "3"


def build(package: str, modules: Sequence[str], root: Path = ROOT) -> Path:
    """Compile `modules` of a package (paths below it, without `.py`); where they are then.

    ImportError without the development tools, SystemExit for wrong types, and what the compiler raises. A build
    that fails changes nothing. One that is killed leaves a folder behind, which the next one removes.
    """
    from mypyc.build import mypycify  # development tools: not there where Cellway only runs
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    place = root / package / FOLDER
    with _alone_in(root / package) as work:
        made_from = digest(package, root)
        paths = [f"{package}/{module}.py" for module in modules]
        options = [*OPTIONS, f"--cache-dir={work / 'types'}"]
        with _standing_in(root):
            extensions = mypycify(
                [*options, *paths], opt_level=OPTIMISATION, group_name=package, target_dir=str(work / "c")
            )
            command = build_ext(Distribution({"name": package, "ext_modules": extensions}))
            command.build_lib, command.build_temp = str(work / "made"), str(work / "objects")
            command.ensure_finalized()
            command.run()
        (work / "made" / DIGEST).write_text(made_from, encoding="ascii")
        shutil.rmtree(place, ignore_errors=True)
        (work / "made").rename(place)
    return place


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[Path]:
    """A folder to work in, once no other build is under way here."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for left_behind in folder.glob(f"{FOLDER}.*"):
            shutil.rmtree(left_behind, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f"{FOLDER}.", dir=folder))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _standing_in(folder: Path) -> Iterator[None]:
    """mypyc names modules by where they are from here."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
