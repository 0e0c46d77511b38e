"""`python -m cell`, for a tenant that may have as many namespaces, and as many that wait, as are asked for.

No worker runs beside this benchmark, and nothing is removed: the limits that a tenant has are out of its way. They
are looked at as ever, over all that there is.
"""

import dataclasses
import sys

from cell.app.api import build_api
from cell.orchestrator import starting
from cell.settings import CellSettings
from directory.rules import plans
from runtime.program import main

MANY = 2**31 - 1

if __name__ == "__main__":
    starting.MOST_WAITING = MANY  # type: ignore[attr-defined]
    plans.PLANS["standard"] = dataclasses.replace(plans.STANDARD, most_namespaces=MANY)  # type: ignore[index]
    sys.exit(main("cell", CellSettings, build_api))
