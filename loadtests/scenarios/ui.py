"""Locust's web interface over the load of scenarios: `make load-ui`, and Ctrl-C.

    python -m loadtests.scenarios.ui [--port 8089] [--url … as for scenarios]

Without --url it starts an embedded platform. What is shown there is for looking; scenarios judge.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from loadtests.router.errors import CannotMeasure
from loadtests.scenarios.__main__ import given_of, options_of
from loadtests.scenarios.catalogue import BY_NAME
from loadtests.scenarios.conductor import mix_of
from loadtests.scenarios.load import write_private
from loadtests.scenarios.stage import Given, embedded, given

SCENARIO = BY_NAME["steady"]
USERS = 50
"""Requests a second to begin with, as the form proposes."""


async def serve(where: Given | None, port: int) -> int:
    """Until Locust ends; its exit code. CannotMeasure."""
    with tempfile.TemporaryDirectory(prefix="cellway-load-ui-") as name:
        folder = Path(name)
        async with embedded(SCENARIO, folder) if where is None else given(SCENARIO, where) as stage:
            plan = folder / "plan.json"
            more = {"mix": mix_of(SCENARIO, stage), "zipf": SCENARIO.zipf}
            write_private(plan, json.dumps(stage.way.plan(first=f"{stage.first}u", **more)))
            print(f"Open http://127.0.0.1:{port}: users are requests a second. Ctrl-C ends it.", flush=True)
            root = Path(__file__).parents[2]
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py"))),
                *("--web-host", "127.0.0.1", "--web-port", str(port), "--host", stage.way.router),
                *("--users", str(USERS), "--spawn-rate", str(USERS), "--skip-log"),
                env={**os.environ, "CELLWAY_LOAD_PLAN": str(plan), "PYTHONPATH": str(root)},
            )
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, process.terminate)
            return await process.wait()


def main() -> int:
    """Start it, and wait."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8089)
    own, others = parser.parse_known_args()
    try:
        where = given_of(options_of([SCENARIO.name, *others]))
        with contextlib.suppress(KeyboardInterrupt):
            return asyncio.run(serve(where, own.port))
    except CannotMeasure as reason:
        print(reason, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
