"""What the two clients of our own share: their arguments, and figures as one line of JSON."""

import argparse
import asyncio
import gc
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict

import uvloop

from loadtests.router.figures import Figures
from loadtests.router.pinned import run_client
from loadtests.router.proxies import Proxy


def run(module: str, proxy: Proxy, seconds: float, warm_up_seconds: float, **more: object) -> Figures:
    """Run the client called `module` against a proxy, as a process on the clients' core."""
    given = {"port": proxy.port, "pid": proxy.process.pid, "seconds": seconds, "warm-up": warm_up_seconds, **more}
    options = [f"--{name}={value}" for name, value in given.items()]
    command = [sys.executable, "-m", f"loadtests.router.{module}", *options]
    return Figures(**json.loads(run_client(command, seconds + warm_up_seconds + 30)))


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The arguments that both take."""
    made = argparse.ArgumentParser(description=doc)
    made.add_argument("--port", type=int, required=True)
    made.add_argument("--pid", type=int, required=True, help="of the proxy, whose CPU time is read")
    made.add_argument("--seconds", type=float, required=True)
    made.add_argument("--warm-up", type=float, required=True)
    made.add_argument("--connections", type=int, required=True)
    return made


def main(client: Callable[[], Awaitable[Figures]]) -> None:
    """Run it, print what it found. A pause for garbage would be taken for the proxy's."""
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def whole() -> Figures:
            return await client()

        print(json.dumps(asdict(runner.run(whole()))))
