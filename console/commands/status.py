"""`cellway status`"""

import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

from console import output
from console.calls import Placement, Service
from console.commands.options import HERE, Json, Root
from console.errors import EXIT_CODES, EXIT_NOT_RUNNING, EXIT_REFUSED, ConsoleError
from console.platform.layout import Remembered
from console.whereabouts import Target, Whereabouts

LOOK_SECONDS = 2.0
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Part:
    """One part as it is found from outside."""

    name: str
    state: str  # ready, not ready, down; or announced: it says of itself that it runs
    address: str
    detail: str = ""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(status)


def status(root: Root = HERE, json: Json = False) -> None:
    """Show the parts of the running platform, and its cells; 1 when a part is not ready, 3 when nothing runs."""
    where = Whereabouts(root)
    parts, cells, leaders = _parts(where), _cells(where), _leaders(where)
    if json:
        output.as_json({"parts": [asdict(part) for part in parts], "cells": cells, "leaders": leaders})
    else:
        _show(parts, cells, leaders)
    if all(part.state == "down" for part in parts):
        raise typer.Exit(EXIT_NOT_RUNNING)
    if any(part.state not in ("ready", "announced") for part in parts):
        raise typer.Exit(EXIT_REFUSED)


def _parts(where: Whereabouts) -> list[Part]:
    """The parts of the folder's platform; of one that runs elsewhere, placement."""
    target = where.placement()
    if where.is_given():
        return [_answers("placement", target), *_announced(target)]
    remembered = where.remembered()
    with ThreadPoolExecutor(AT_ONCE) as looking:
        return list(
            looking.map(lambda name: _part(name, remembered, where.layout.authority), _names(remembered.ports))
        )


def _names(ports: Mapping[str, int]) -> list[str]:
    """Each part once: those with an admin port are asked there, and workers have nothing but one."""
    return [name.removesuffix(" admin") for name in ports if not (name.endswith(" admin") and name[:-6] in ports)]


def _part(name: str, remembered: Remembered, authority: Path) -> Part:
    ports, urls = remembered.ports, remembered.urls
    admin = urls.get(f"{name} admin")
    if admin is None:
        return _accepts(name, ports[name])
    address = urls.get(name, admin)
    try:
        by = authority if admin.startswith("https://") else None
        with Service(Target(admin, "nobody answers", authority=by)) as service:
            found = service.send("GET", "/health/ready", seconds=LOOK_SECONDS).json()
    except (ConsoleError, ValueError) as error:
        return Part(name, "down", address, str(error))
    wrong = [check for check in found.get("checks", []) if not check["ok"]]
    detail = "; ".join(f"{check['name']}: {check['detail'] or 'fails'}" for check in wrong)
    return Part(name, "ready" if found.get("ready") else "not ready", address, detail)


def _accepts(name: str, port: int) -> Part:
    try:
        socket.create_connection(("127.0.0.1", port), LOOK_SECONDS).close()
    except OSError as error:
        return Part(name, "down", f"127.0.0.1:{port}", error.strerror or str(error))
    return Part(name, "ready", f"127.0.0.1:{port}")


def _answers(name: str, target: Target) -> Part:
    try:
        with Placement(target) as service:
            service.call("GET", "/v1/cells", seconds=LOOK_SECONDS)
    except ConsoleError as error:
        return Part(name, "down", urlsplit(target.url).netloc, str(error))
    return Part(name, "ready", target.url)


def _announced(target: Target) -> list[Part]:
    """Who says of itself that it runs; whether it can be reached from here is another question."""
    try:
        with Placement(target) as service:
            found = service.call("GET", "/v1/instances", seconds=LOOK_SECONDS)["instances"]
    except ConsoleError:
        return []
    return [
        Part(
            " ".join([*one["about"].values(), one["service"]]),
            "not ready" if one.get("trouble") else "announced",
            f"{one['host']}:{one['port']}",
            one.get("trouble", ""),
        )
        for one in found
        if one["service"] != "placement"  # it has answered itself
    ]


def _cells(where: Whereabouts) -> list[dict[str, Any]] | None:
    """None when placement cannot tell; the parts show why."""
    try:
        with Placement(where.placement()) as service:
            return service.listed("/v1/cells", "cells", 10_000, seconds=LOOK_SECONDS)
    except ConsoleError:
        return None


def _leaders(where: Whereabouts) -> list[dict[str, Any]]:
    """Nobody when placement cannot tell; the parts show why."""
    try:
        with Placement(where.placement()) as service:
            found: list[dict[str, Any]] = service.call("GET", "/v1/leaders", seconds=LOOK_SECONDS)["leaders"]
            return found
    except ConsoleError:
        return []


def _show(parts: list[Part], cells: list[dict[str, Any]] | None, leaders: list[dict[str, Any]]) -> None:
    styles = {"ready": "green", "announced": "green", "not ready": "yellow", "down": "bold red"}
    rows = [
        (part.name, output.coloured(part.state, styles[part.state]), part.address, part.detail) for part in parts
    ]
    output.table(("PART", "STATE", "ADDRESS", "REMARK"), rows)
    output.line()
    for leader in leaders:
        how = "is led by" if leader["leads"] else "has no leader; the last was"
        output.line(f"{leader['resource']} {how} {leader['leader']}, in term {leader['term']}")
    if cells is None:
        output.line("The cells are not known while placement does not answer.")
        return
    columns = ("CELL", "REGION", "STATE", "TENANTS", "CAPACITY")
    known = [
        (cell["cell_id"], cell["region"], cell["state"], cell["tenants"], cell["capacity_tenants"])
        for cell in cells
    ]
    output.table(columns, known, right=("TENANTS", "CAPACITY"))
