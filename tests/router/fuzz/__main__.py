"""`python -m tests.router.fuzz --seconds 600`, or `--repeat FILE` for what it found."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.router.fuzz.case import load
from tests.router.fuzz.hunt import hunted, repeated
from tests.router.fuzz.shell import Found


def main() -> int:
    """0 when every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.router.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("FUZZ_SECONDS", "600")))
    parser.add_argument("--seed", type=int, default=0, help="another seed takes another way")
    parser.add_argument("--artifacts", type=Path, default=Path(tempfile.gettempdir()) / "cellway-fuzz")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="run one saved case")
    options = parser.parse_args()
    if options.repeat is not None:
        return _repeat(options.repeat)
    hunt = hunted(options.artifacts, seed=options.seed, seconds=options.seconds)
    print(f"{hunt.cases} cases, {len(hunt.known)} behaviours, {len(hunt.found)} broken promises")
    for path, reason in hunt.found:
        print(f"\n{reason[:2000]}\n  repeat it: python -m tests.router.fuzz --repeat {path}")
    return 1 if hunt.found else 0


def _repeat(path: Path) -> int:
    try:
        print(repeated(load(path)))
    except Found as found:
        print(found)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
