"""The admin port: `/metrics`, `/health/live`, `/health/ready`, `/settings`, and `/log-level`.

Never exposed to tenants. Programs add pages of their own to the same application. Where it speaks TLS, all but
health is for those who show a certificate of the fleet; probes of health have none.
"""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import prometheus_client
from aiohttp import web

from runtime import logs
from runtime.api.problem import ApiError
from runtime.health import Health, ready
from runtime.settings import Settings

FOR_STRANGERS = ("/health/live", "/health/ready")


def application(health: Health, settings: Settings, *, client_max_size: int = 1024 * 1024) -> web.Application:
    """The pages that every program has."""
    pages = _Pages(health, settings)
    app = web.Application(client_max_size=client_max_size, middlewares=[_strangers_ask_for_health_alone])
    app.router.add_get("/metrics", pages.metrics)
    app.router.add_get("/health/live", pages.live)
    app.router.add_get("/health/ready", pages.ready)
    app.router.add_get("/settings", pages.settings)
    app.router.add_put("/log-level/{level}", pages.log_level)
    return app


@web.middleware
async def _strangers_ask_for_health_alone(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    # Of a connection that is gone meanwhile `secure` is still known, its certificate no longer.
    if not request.secure or request.path in FOR_STRANGERS or request.get_extra_info("peercert"):
        return await handler(request)
    shown = "show a certificate of this fleet's authority: without one there is only /health here"
    return ApiError("PERMISSION_DENIED", shown).response()


class _Pages:
    def __init__(self, health: Health, settings: Settings) -> None:
        self._health = health
        self._settings = settings

    async def metrics(self, _request: web.Request) -> web.Response:
        body = prometheus_client.generate_latest()
        return web.Response(body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})

    async def live(self, _request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(self, _request: web.Request) -> web.Response:
        findings = await self._health.findings()
        ok = ready(findings)
        checks: list[dict[str, Any]] = [dataclasses.asdict(finding) for finding in findings]
        return web.json_response({"ready": ok, "checks": checks}, status=200 if ok else 503)

    async def settings(self, _request: web.Request) -> web.Response:
        return web.json_response(self._settings.shown())

    async def log_level(self, request: web.Request) -> web.Response:
        level = request.match_info["level"]
        if level not in logs.LEVELS:
            return web.json_response({"error": f"one of {', '.join(logs.LEVELS)} is expected"}, status=400)
        logs.set_level(level)
        return web.json_response({"log_level": level})
