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

from runtime.compiled import FOLDER, ROOT, place

OPTIONS = ("--config-file=", "--ignore-missing-imports", "--follow-imports=silent")
OPTIMISATION = "3"


class NotCompiled(Exception):
    """There is no compiler that could, or nowhere to put what it makes."""


def build(package: str, modules: Sequence[str], root: Path = ROOT) -> Path:
    """Compile `modules` of a package (paths below it, without `.py`) unless they are; where they are then.

    NotCompiled; SystemExit for wrong types. A build that fails changes nothing; one that is killed leaves a folder
    behind, which the next one removes.
    """
    try:
        # Development tools: not there where Cellway only runs.
        from mypyc.build import mypycify
        from setuptools import Distribution
        from setuptools.command.build_ext import build_ext
        from setuptools.errors import BaseError, CompileError, LinkError
    except ImportError as error:
        raise NotCompiled(f"{error.name} is not installed") from error
    try:
        with _alone_in(root / package / FOLDER) as work:
            made = place(package, root)
            if made.exists():
                return made
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
            if place(package, root) != made:
                raise NotCompiled("the sources were changed meanwhile")
            _keep(work / "made", made)
    except (OSError, BaseError, CompileError, LinkError) as error:
        raise NotCompiled(str(error)) from error
    return made


def _keep(folder: Path, made: Path) -> None:
    """Put it in its place at once and for good, and what was made of other sources away."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as written:
                os.fsync(written.fileno())
    others = [other for other in made.parent.iterdir() if other != folder.parent]
    folder.rename(made)
    for other in others:
        other.rename(folder.parent / other.name)  # removed with the rest that is there


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[Path]:
    """A folder to work in, within the one given, once no other build is under way there."""
    folder.mkdir(exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for left_behind in folder.glob("work.*"):
            shutil.rmtree(left_behind, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix="work.", dir=folder))
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
