"""`cellway doctor`"""

from typing import Any

import typer

from console import output
from console.calls import Service
from console.commands.options import HERE, Json, Root, placement
from console.errors import EXIT_CODES, EXIT_REFUSED, ConsoleError
from console.whereabouts import Target

CHECKS_SECONDS = 70.0
"""Placement itself answers within a minute."""
LOOK_SECONDS = 2.0
REGISTRY_SECONDS = 20.0


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(doctor)


def doctor(root: Root = HERE, json: Json = False) -> None:
    """Examine the invariants of the running system, and say what to do; 1 when one does not hold."""
    with placement(root) as service:
        found: dict[str, Any] = service.call("GET", "/v1/checks", seconds=CHECKS_SECONDS)
        found["checks"] += _routers(service)
    found["ok"] = all(check["ok"] for check in found["checks"])
    if json:
        output.as_json(found)
    else:
        _show(found["checks"])
    if not found["ok"]:
        raise typer.Exit(EXIT_REFUSED)


def _routers(service: Service) -> list[dict[str, Any]]:
    try:
        running = service.call("GET", "/v1/instances", seconds=REGISTRY_SECONDS)["instances"]
    except ConsoleError as error:
        remedy = "routers go on serving; bring back the registry (the directory's Redis, or Consul) and look again"
        return [
            {"name": "the registry tells which routers run", "ok": False, "detail": str(error), "remedy": remedy}
        ]
    return [_router(instance) for instance in running if instance["service"] == "router"]


def _router(instance: dict[str, Any]) -> dict[str, Any]:
    """Placement does not know routers, so each is asked from here: has it a table, and does it hear of changes?"""
    admin = f"http://{instance['host']}:{instance['admin_port']}"
    try:
        with Service(Target(admin, f"nobody answers at {admin}")) as service:
            checks = service.send("GET", "/health/ready", seconds=LOOK_SECONDS).json()["checks"]
        wrong = "; ".join(f"{check['name']}: {check['detail']}" for check in checks if not check["ok"])
    except (ConsoleError, ValueError, KeyError) as error:
        wrong = str(error)
    name = f"router {instance['host']}:{instance['port']} follows the directory"
    remedy = "it goes on serving whom it knows; see its log, and whether it reaches the directory's Redis"
    return {
        "name": name,
        "ok": not wrong,
        "detail": wrong or checks[0]["detail"],
        "remedy": remedy if wrong else "",
    }


def _show(checks: list[dict[str, Any]]) -> None:
    output.table(("", "CHECK", "FOUND"), [(output.mark(c["ok"]), c["name"], c["detail"] or None) for c in checks])
    failed = [check for check in checks if not check["ok"]]
    output.line()
    if not failed:
        output.line(f"All {len(checks)} checks hold.")
        return
    output.line(f"{len(failed)} of {len(checks)} checks do not hold. What to do:")
    output.table(("CHECK", "REMEDY"), [(check["name"], check["remedy"]) for check in failed])
