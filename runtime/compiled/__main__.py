"""`python -m runtime.compiled router`: compile what a package wants compiled, for the Python that runs this."""

import argparse
import importlib
import sys
import sysconfig
from pathlib import Path

from runtime.compiled import prefer
from runtime.compiled.build import NotCompiled, build


def main() -> int:
    """Returns the exit code: 0 also where it cannot be, for everything works without."""
    parser = argparse.ArgumentParser(
        prog="runtime.compiled", description="Compile a package's hot modules (mypyc)"
    )
    parser.add_argument("package", help="its __init__ lists them as COMPILED")
    parser.add_argument("--required", action="store_true", help="fail when it cannot be")
    options = parser.parse_args()
    if prefer(options.package):
        return 0
    try:
        if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
            raise NotCompiled("Python's headers are not there (Debian: python3-dev)")
        made = build(options.package, importlib.import_module(options.package).COMPILED)
    except NotCompiled as reason:
        print(f"{options.package}: not compiled, so its sources are interpreted: {reason}")
        return 1 if options.required else 0
    print(f"{options.package}: compiled into {made}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
