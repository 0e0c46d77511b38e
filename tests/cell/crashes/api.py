"""`python -m tests.cell.crashes.api FOLDER`: a real API that dies where it begins something, and comes back.

Its boundaries are those of the transaction that begins an orchestration: before the row is there, when it is and
nothing is committed, when it is committed and nobody was told.
"""

import contextlib
import sys
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from cell import database
from cell.app.api import build_api
from cell.orchestrator import starting
from cell.settings import CellSettings
from runtime import program
from runtime.database import Connection, Pool
from tests.cell.crashes.forks import keep
from tests.cell.crashes.points import Moment, Points, name_of

BEGIN = "begin"
"""Stands where the others have a step."""
_BEGUN: ContextVar[list[str] | None] = ContextVar("begun", default=None)


def prepare(points: Points) -> None:
    """Lay the points around the beginning."""
    start, transaction = starting.start, database.database.transaction

    def reach(tenant_id: str, workflow: str, moment: Moment) -> None:
        points.reach(name_of(tenant_id, workflow, BEGIN, "act", moment))

    async def begun(connection: Connection, bound: Any, *args: Any, **more: Any) -> Any:
        workflow = getattr(bound, "workflow", bound).name
        tenant_id = str(await connection.fetchval("SELECT current_setting('app.tenant')"))
        reach(tenant_id, workflow, "before")
        row = await start(connection, bound, *args, **more)
        reach(tenant_id, workflow, "effect")
        if (beginnings := _BEGUN.get()) is not None:
            beginnings.append(f"{tenant_id} {workflow}")
        return row

    @contextlib.asynccontextmanager
    async def committed(pool: Pool, **more: Any) -> AsyncIterator[Connection]:
        beginnings: list[str] = []
        token = _BEGUN.set(beginnings)
        try:
            async with transaction(pool, **more) as connection:
                yield connection
        finally:
            _BEGUN.reset(token)
        for each in beginnings:
            tenant_id, workflow = each.split()
            reach(tenant_id, workflow, "record")

    starting.start = begun
    database.database.transaction = committed  # type: ignore[assignment]


def main() -> None:
    """Keep one running until standard input ends; its number is in the folder's parent."""
    folder = Path(sys.argv[1])
    prepare(Points(folder))

    def tell(running: list[int]) -> None:
        # Put there whole: it is read at any moment.
        written = folder.parent / "api.pid.new"
        written.write_text(str(running[0]))
        written.replace(folder.parent / "api.pid")

    keep(1, lambda: program.main("cell", CellSettings, build_api), tell)


if __name__ == "__main__":
    main()
