"""A placement as it really runs, which may be told of shorter sessions too than Consul allows unless it is
configured otherwise, as that of the tests is: `python -m tests.placement.impatient`.
"""

import sys

from placement import settings
from placement.app import build
from runtime import program

SESSION_SECONDS = "3"
"""Long enough for a machine with much else to do; Consul may take twice as long to end one."""


def allow() -> None:
    """From now on, in this process."""
    settings.CONSULS_LEAST_SECONDS = 1


if __name__ == "__main__":
    allow()
    sys.exit(program.main("placement", settings.PlacementSettings, build))
