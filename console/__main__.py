"""`python -m console`, and the `cellway` command."""

import sys


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    from console.app import run

    sys.exit(run())


if __name__ == "__main__":
    main()
