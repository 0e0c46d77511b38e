"""What an operator can ask the router, next to metrics and health."""

from time import monotonic
from typing import Any

from aiohttp import web

from directory.rules.names import is_name
from router.follower import Follower
from router.lane import Lane
from router.look_ups import LookUps
from router.table import Table
from router.upstream.pool import Pool


class Pages:
    """`/table`, `/table/{tenant}`, `/cells` on the admin port."""

    def __init__(self, table: Table, follower: Follower, look_ups: LookUps, lane: Lane) -> None:
        self._table, self._follower, self._look_ups, self._lane = table, follower, look_ups, lane

    def add_to(self, application: web.Application) -> None:
        """Put the pages on an application."""
        application.router.add_get("/table", self.table)
        application.router.add_get("/table/{tenant}", self.tenant)
        application.router.add_get("/cells", self.cells)

    def _of_table(self) -> dict[str, Any]:
        refused = self._follower.refused
        return {
            "identity": self._table.identity,
            "seq": self._table.seq,
            "source": self._table.source,
            "age_seconds": self._follower.age_seconds,
            "trouble": self._follower.trouble,
            "refused_snapshot": None if refused is None else refused.value,
        }

    async def table(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {**self._of_table(), "tenants": len(self._table), "cells": len(self._table.cells)}
        )

    async def tenant(self, request: web.Request) -> web.Response:
        tenant_id = request.match_info["tenant"]
        entry = self._table.find(tenant_id)
        found = {
            "tenant": tenant_id,
            "cell": None if entry is None else entry.cell_id,
            "epoch": None if entry is None else entry.epoch,
            "why": "it is in the table" if entry else self._why_not(tenant_id),
            "table": self._of_table(),
        }
        if entry is not None and entry.cell_id is not None:
            cell = self._table.cell(entry.cell_id)
            found["address"] = None if cell is None else cell.address
        return web.json_response(found, status=200 if entry else 404)

    def _why_not(self, tenant_id: str) -> str:
        if not is_name(tenant_id):
            return "no tenant can be called so"
        seconds = self._look_ups.unknown_for_seconds(tenant_id)
        if seconds is not None:
            return f"the directory said {seconds:.1f} s ago that it does not exist"
        return "not in the table; the next request for it asks the directory"

    async def cells(self, _request: web.Request) -> web.Response:
        now = monotonic()
        pools = {pool.cell_id: pool for pool in self._lane.cells.pools}
        return web.json_response(
            {
                "cells": [
                    {
                        "cell": cell.cell_id,
                        "address": cell.address,
                        "directory_state": cell.state,
                        **_seen(pools.get(cell.cell_id), now),
                    }
                    for cell in sorted(self._table.cells.values(), key=lambda cell: cell.cell_id)
                ]
            }
        )


def _seen(pool: Pool | None, now: float) -> dict[str, Any]:
    if pool is None:
        return {"state": "unknown", "evidence": "nobody asked it yet", "connections": 0, "waiting": 0}
    return {
        "state": pool.state,
        "since_seconds": round(now - pool.since, 3),
        "evidence": pool.evidence,
        "connections": pool.open,
        "waiting": pool.waiting,
    }
