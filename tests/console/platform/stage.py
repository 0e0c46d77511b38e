"""What the tests of the platform share: stand-ins instead of our programs, and asking over HTTP."""

import asyncio
import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from console.platform.blueprint import Commands
from console.platform.settings import SYSTEM_PORTS, UpSettings

SETTINGS = UpSettings(**SYSTEM_PORTS)


def stand_ins() -> Commands:
    script = str(Path(__file__).with_name("stand_in.py"))
    kinds = ("placement", "router", "mover", "cell", "worker")
    return Commands(**{kind: (sys.executable, script, kind) for kind in kinds})


async def ask(url: str) -> Any:
    def read() -> Any:
        with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 our own address
            return json.load(response)

    return await asyncio.to_thread(read)
