"""What an operator can ask the router, and tell it, next to metrics, health and settings."""

from typing import Any

from aiohttp import web

from directory.rules.names import is_name
from router.follower import Follower
from router.lane import Lane
from router.look_ups import LookUps
from router.report import Report
from router.table import Table
from runtime import logs
from runtime.health import Unhealthy

log = logs.get("router.pages")


class Pages:
    """`/table`, `/table/{tenant}`, `/cells`, `/breakers`, `/holds`, `/top`, `/draining` on the admin port."""

    def __init__(self, table: Table, follower: Follower, look_ups: LookUps, lane: Lane) -> None:
        self._table, self._follower, self._look_ups, self._lane = table, follower, look_ups, lane
        self._report = Report(lane)

    def add_to(self, application: web.Application) -> None:
        """Put the pages on an application."""
        application.router.add_get("/table", self.table)
        application.router.add_get("/table/{tenant}", self.tenant)
        application.router.add_get("/cells", self.cells)
        application.router.add_get("/breakers", self.breakers)
        application.router.add_get("/holds", self.holds)
        application.router.add_get("/top", self.top)
        application.router.add_get("/draining", self.draining)
        application.router.add_put("/draining/{wanted}", self.drain)

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
        return web.json_response(self._whole_table())

    def _whole_table(self) -> dict[str, Any]:
        return {**self._of_table(), "tenants": len(self._table), "cells": len(self._table.cells)}

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
        if entry is not None:
            found |= self._report.tenant(entry)
        return web.json_response(found, status=200 if entry else 404)

    def _why_not(self, tenant_id: str) -> str:
        if not is_name(tenant_id):
            return "no tenant can be called so"
        seconds = self._look_ups.unknown_for_seconds(tenant_id)
        if seconds is not None:
            return f"the directory said {seconds:.1f} s ago that it does not exist"
        return "not in the table; the next request for it asks the directory"

    async def cells(self, _request: web.Request) -> web.Response:
        return web.json_response(self._report.cells())

    async def breakers(self, _request: web.Request) -> web.Response:
        return web.json_response(self._report.breakers())

    async def holds(self, _request: web.Request) -> web.Response:
        return web.json_response(self._report.holds())

    async def top(self, _request: web.Request) -> web.Response:
        return web.json_response({**self._report.top(), "table": self._whole_table()})

    # --- taking the process out of service ---

    async def draining(self, _request: web.Request) -> web.Response:
        return web.json_response({"draining": self._lane.leaving})

    async def drain(self, request: web.Request) -> web.Response:
        wanted = request.match_info["wanted"]
        if wanted not in ("on", "off"):
            return web.json_response({"error": "one of on, off is expected"}, status=400)
        self._lane.leave(wanted == "on")
        log.warning("draining_asked", wanted=wanted, draining=self._lane.leaving)
        if wanted == "off" and self._lane.leaving:
            return web.json_response({"error": "the process ends: that cannot be called off"}, status=409)
        return web.json_response({"draining": self._lane.leaving})

    async def check_service(self) -> str | None:
        """Not ready while an operator takes the process out of service; a process that ends says so itself."""
        if self._lane.leaving and not self._lane.draining:
            raise Unhealthy("draining: PUT /draining/off ends it")
        return None
