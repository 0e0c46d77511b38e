"""`python -m router [--processes N]`"""

import argparse
import sys

from router import processes
from router.app import build
from router.settings import RouterSettings
from runtime import program


def main() -> int:
    """Run one router, or a parent of several. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="router", description="The router. Settings: CELLWAY_ROUTER_*")
    parser.add_argument("--processes", type=int, default=1, help="how many share the port (default: 1)")
    parser.add_argument("--process", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.processes < 1:
        parser.error("--processes must be 1 or more")
    if options.process is not None:
        return program.main(f"router-{options.process}", RouterSettings, processes.child(options.process))
    if options.processes > 1:
        return program.main("router", RouterSettings, processes.parent(options.processes))
    return program.main("router", RouterSettings, build)


if __name__ == "__main__":
    sys.exit(main())
