"""The four proxies, each listening on a port of its own and pinned to the proxies' core."""

import getpass
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import router
from loadtests.router import template
from loadtests.router.fleet import Fleet
from loadtests.router.pinned import PROXY_CORE, Pinned, program
from runtime.embedded.ports import free_port

KEPT_CONNECTIONS = 512
"""To one cell, by nginx: more than any scenario uses."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One that runs."""

    name: str
    port: int
    process: Pinned
    version: str


Start = Callable[[Fleet, Path, str], Proxy]
"""Starts a proxy for the fleet; a folder of its own, and the address of the directory's Redis."""


def nginx(fleet: Fleet, folder: Path, _redis_url: str) -> Proxy:
    """`map` and upstreams with keep-alive."""
    lines = [f"{tenant} {cell.cell_id};" for tenant, cell in fleet.places()]
    upstreams = [
        f"  upstream {cell.cell_id} {{ server 127.0.0.1:{cell.port}; keepalive {KEPT_CONNECTIONS}; "
        "keepalive_requests 1000000000; }"
        for cell in fleet.all_cells
    ]
    port = free_port()
    path = template.written(
        "nginx_proxy.conf",
        folder / "nginx.conf",
        user=getpass.getuser(),
        folder=folder,
        port=port,
        map=_lines(folder / "tenants.map", lines),
        upstreams="\n".join(upstreams),
    )
    command = (program("nginx"), "-p", folder, "-e", "stderr", "-c", path)
    return Proxy("nginx", port, Pinned("nginx", command, PROXY_CORE, folder), _version("nginx", "-v"))


def haproxy(fleet: Fleet, folder: Path, _redis_url: str) -> Proxy:
    """A map file and shared connections."""
    lines = [f"{tenant} {cell.cell_id}" for tenant, cell in fleet.places()]
    backends = [f"backend {cell.cell_id}\n  server {cell.cell_id} 127.0.0.1:{cell.port}" for cell in fleet.cells]
    port = free_port()
    path = template.written(
        "haproxy.cfg",
        folder / "haproxy.cfg",
        port=port,
        map=_lines(folder / "tenants.map", lines),
        backends="\n\n".join(backends),
        events_port=fleet.events.port,
    )
    command = (program("haproxy"), "-db", "-f", path)
    return Proxy("haproxy", port, Pinned("haproxy", command, PROXY_CORE, folder), _version("haproxy", "-v"))


def aiohttp(fleet: Fleet, folder: Path, _redis_url: str) -> Proxy:
    """See `plain_proxy`."""
    lines = _lines(folder / "tenants", [f"{tenant} {cell.origin}" for tenant, cell in fleet.places()])
    port = free_port()
    command = (sys.executable, "-m", "loadtests.router.plain_proxy", str(port), lines)
    process = Pinned("aiohttp", command, PROXY_CORE, folder)
    return Proxy("aiohttp", port, process, f"{version('aiohttp')} on uvloop {version('uvloop')}")


def cellway(_fleet: Fleet, folder: Path, redis_url: str) -> Proxy:
    """Our router as it is in production: it learns of the fleet from the directory and keeps it on disk."""
    port = free_port()
    told = {
        "PORT": str(port),
        "ADMIN_PORT": str(free_port()),
        "DIRECTORY_REDIS_URL": redis_url,
        "SNAPSHOT_PATH": str(folder / "snapshot"),
        "LOG_FORMAT": "json",
    }
    environment = {f"CELLWAY_ROUTER_{name}": value for name, value in told.items()}
    form = "compiled" if router.IS_COMPILED else "interpreted"
    process = Pinned("cellway", (sys.executable, "-m", "router"), PROXY_CORE, folder, environment)
    return Proxy("cellway", port, process, f"Python {sys.version.split()[0]}, uvloop {version('uvloop')}, {form}")


PROXIES: Mapping[str, Start] = {"nginx": nginx, "haproxy": haproxy, "aiohttp": aiohttp, "cellway": cellway}
OURS = "cellway"


def _lines(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def _version(name: str, option: str) -> str:
    told = subprocess.run((program(name), option), capture_output=True, text=True, check=False)  # noqa: S603 ours
    number = re.search(r"\d+(?:\.\d+)+", told.stdout + told.stderr)
    return number[0] if number else "unknown"
