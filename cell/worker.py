"""`python -m cell.worker [--processes N] [--threads M]`: the workers of one cell."""

import argparse
import sys
from collections.abc import Awaitable, Callable

from cell.app.worker import build_worker
from cell.settings import CellSettings
from runtime import program
from runtime.lifecycle import Lifecycle
from runtime.processes import Child, Children, end_with_parent, parent_of

THREADS = "WORKER_THREADS"


def main() -> int:
    """Run one worker, or a parent of several. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="cell.worker", description="The worker. Settings: CELLWAY_CELL_*")
    parser.add_argument("--processes", type=int, default=1, help="how many of them (default: 1)")
    parser.add_argument("--threads", type=int, default=None, help=f"in each lane of each (default: {THREADS}, 8)")
    parser.add_argument("--process", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.processes < 1 or (options.threads is not None and options.threads < 1):
        parser.error("--processes and --threads must be 1 or more")
    if options.process is not None:
        return program.main(f"cell.worker-{options.process}", CellSettings, _child(options.threads))
    if options.processes > 1:
        return program.main("cell.worker", CellSettings, _parent(options.processes, options.threads))
    return program.main("cell.worker", CellSettings, _alone(options.threads))


def _with(settings: CellSettings, threads: int | None) -> CellSettings:
    return settings if threads is None else settings.model_copy(update={THREADS.lower(): threads})


def _alone(threads: int | None) -> Callable[[CellSettings], Awaitable[Lifecycle]]:
    async def build(settings: CellSettings) -> Lifecycle:
        return await build_worker(_with(settings, threads))

    return build


def _child(threads: int | None) -> Callable[[CellSettings], Awaitable[Lifecycle]]:
    async def build(settings: CellSettings) -> Lifecycle:
        lifecycle = await build_worker(_with(settings, threads))
        end_with_parent(lifecycle)
        return lifecycle

    return build


def _parent(count: int, threads: int | None) -> Callable[[CellSettings], Awaitable[Lifecycle]]:
    async def build(settings: CellSettings) -> Lifecycle:
        def child(number: int) -> Child:
            admin = settings.admin_port
            given = () if threads is None else ("--threads", str(threads))
            own = {f"{settings.env_prefix}ADMIN_PORT": str(admin + number if admin else 0)}
            return Child(("-m", "cell.worker", "--process", str(number), *given), own)

        return parent_of(Children(count, child), settings.drain_seconds)

    return build


if __name__ == "__main__":
    sys.exit(main())
