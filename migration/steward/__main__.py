"""`python -m migration.steward`: the control contract for one adopted database. Several may run."""

import sys

from migration.steward.app import build
from migration.steward.settings import StewardSettings
from runtime import program

if __name__ == "__main__":
    sys.exit(program.main("steward", StewardSettings, build))
