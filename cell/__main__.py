"""`python -m cell`: the API of one cell."""

import sys

from cell.app.api import build_api
from cell.settings import CellSettings
from runtime.program import main

if __name__ == "__main__":
    sys.exit(main("cell", CellSettings, build_api))
