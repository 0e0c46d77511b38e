"""`python -m cell.worker`: the worker of one cell."""

import sys

from cell.app.worker import build_worker
from cell.settings import CellSettings
from runtime.program import main

if __name__ == "__main__":
    sys.exit(main("cell.worker", CellSettings, build_worker))
