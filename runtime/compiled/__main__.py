"""`python -m runtime.compiled router`: compile what a package wants compiled, for the Python that runs this."""

import argparse
import importlib
import shutil
import sys
import sysconfig
from pathlib import Path

from runtime.compiled import prefer
from runtime.compiled.build import build


def main() -> int:
    """Returns the exit code: 0 also where there is no compiler, for everything works without."""
    parser = argparse.ArgumentParser(
        prog="runtime.compiled", description="Compile a package's hot modules (mypyc)"
    )
    parser.add_argument("package", help="its __init__ lists them as COMPILED")
    parser.add_argument("--required", action="store_true", help="fail where there is no compiler")
    options = parser.parse_args()
    if prefer(options.package):
        print(f"{options.package}: compiled already")
        return 0
    if lacking := _lacking():
        print(f"{options.package}: not compiled, so its sources are interpreted: {lacking}")
        return 1 if options.required else 0
    place = build(options.package, importlib.import_module(options.package).COMPILED)
    print(f"{options.package}: compiled into {place}")
    return 0


def _lacking() -> str | None:
    """What there is not that compiling takes."""
    if not any(shutil.which(program) for program in ("cc", "gcc", "clang")):
        return "there is no C compiler (Debian: gcc)"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Python's headers are not there (Debian: python3-dev)"
    return None


if __name__ == "__main__":
    sys.exit(main())
