"""`python -m router.export haproxy --output DIR [--listen ADDR:PORT] [--follow]`"""

import argparse
import sys
from pathlib import Path

from router.export.app import Options, building
from router.settings import RouterSettings
from runtime import program


def main() -> int:
    """Export. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="router.export", description="The table for other proxies.")
    kinds = parser.add_subparsers(required=True)
    haproxy = kinds.add_parser("haproxy", help="HAProxy 2.6 or newer. Settings: CELLWAY_ROUTER_*")
    haproxy.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder to write to")
    haproxy.add_argument("--listen", metavar="ADDR:PORT", help="default: CELLWAY_ROUTER_HOST and _PORT")
    haproxy.add_argument("--follow", action="store_true", help="keep the files and a running HAProxy current")
    haproxy.add_argument("--certificate", type=Path, metavar="PEM", help="certificate and key: speak TLS")
    haproxy.add_argument(
        "--lua",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="try a 421 again by a script (default: when the HAProxy here can)",
    )
    haproxy.add_argument("--json", action="store_true", help="say as JSON what was written")
    given = parser.parse_args()
    options = Options(given.output, given.listen, given.follow, given.lua, given.certificate, given.json)
    return program.main("router-export", RouterSettings, building(options))


if __name__ == "__main__":
    sys.exit(main())
