"""`python -m runtime.ready` says by its exit code whether a program is ready."""

import asyncio
import sys
from pathlib import Path

from aiohttp import web

from runtime import admin
from runtime.health import Health
from runtime.settings import Settings
from runtime.site import Site


class _Settings(Settings):
    env_prefix = "CELLWAY_EXAMPLE_"


async def _asked(root: Path, *places: str) -> int:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "runtime.ready", *places, cwd=root)
    return await process.wait()


async def test_it_asks_the_page_of_health(project_root: Path) -> None:
    """Ready, draining, and nobody there; of several all must be."""
    health = Health()
    pages: web.Application = admin.application(health, _Settings())
    site = Site("admin", pages, "127.0.0.1", 0)
    await site.start()
    try:
        assert await _asked(project_root, str(site.port)) == 0
        assert await _asked(project_root, f"127.0.0.1:{site.port}", str(site.port)) == 0
        assert await _asked(project_root, str(site.port), "1") == 1
        health.draining = True
        assert await _asked(project_root, str(site.port)) == 1
    finally:
        await site.stop()
    assert await _asked(project_root, str(site.port)) == 1
    assert await _asked(project_root) == 1
