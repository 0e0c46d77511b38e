"""`python -m placement`."""

import sys

from placement.app import build
from placement.settings import PlacementSettings
from runtime import program

if __name__ == "__main__":
    sys.exit(program.main("placement", PlacementSettings, build))
