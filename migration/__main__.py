"""`python -m migration`: one mover. Several may run; each move is carried by one at a time."""

import sys

from migration.app import build
from migration.settings import MigrationSettings
from runtime import program

if __name__ == "__main__":
    sys.exit(program.main("migration", MigrationSettings, build))
