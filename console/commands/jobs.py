"""`cellway jobs …`"""

from typing import Annotated, Any

import typer

from console import output
from console.calls import Placement, quoted
from console.commands.options import HERE, Json, Limit, Root, Tenant, Yes, confirm, placement
from console.errors import EXIT_CODES, ConsoleError, Usage

app = typer.Typer(
    help="Look at tenants' jobs, and try again or discard dead ones.", no_args_is_help=True, epilog=EXIT_CODES
)
COLUMNS = ("JOB", "ACTOR", "LANE", "STATE", "ATTEMPTS", "CHANGED", "NEXT", "LAST ERROR")
STYLES = {"dead": "bold red", "running": "cyan", "done": "green"}
MOST_CELLS = 10_000

Jobs = Annotated[
    list[str] | None, typer.Argument(help="Jobs, as `cellway jobs list` shows them.", metavar="[JOB…]")
]
All = Annotated[bool, typer.Option("--all", help="All dead ones, so many as one call does: the oldest first.")]
Actor = Annotated[str | None, typer.Option(help="Only of this kind.")]


@app.command("list", epilog=EXIT_CODES)
def list_(
    tenant: Tenant,
    state: Annotated[str | None, typer.Option(help="waiting, running, done or dead.")] = None,
    lane: Annotated[str | None, typer.Option(help="interactive or bulk.")] = None,
    actor: Actor = None,
    limit: Limit = 50,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """List a tenant's jobs, those first that changed last, and count them."""
    path = f"/v1/tenants/{quoted(tenant)}/jobs"
    with placement(root) as service:
        found = service.listed(path, "jobs", limit + 1, state=state, lane=lane, actor=actor)
        counts = service.call("GET", path, params={"page_size": "1"})["counts"]
    if len(found) > limit:
        output.remark(f"only the last {limit} are listed, and there are more: say --limit")
    found = found[:limit]
    if json:
        output.as_json({"jobs": found, "counts": counts})
        return
    if found:
        output.table(COLUMNS, [_row(job) for job in found], right=("ATTEMPTS",))
        output.line()
    output.line("In all: " + ", ".join(f"{count} {name}" for name, count in counts.items()))


@app.command(epilog=EXIT_CODES)
def dead(
    cell: Annotated[str | None, typer.Option(help="Only tenants of this cell.")] = None,
    limit: Limit = 1000,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """List the tenants that have dead jobs, cell by cell; 5 when a cell did not tell."""
    with placement(root) as service:
        cells = [cell] if cell else [one["cell_id"] for one in service.listed("/v1/cells", "cells", MOST_CELLS)]
        found, silent = _dead(service, cells, limit)
    if json:
        output.as_json({"tenants": found, "silent": silent})
    elif found:
        rows = [
            (one["cell_id"], one["tenant_id"], one["jobs"], _time(one["oldest_time"]), _time(one["newest_time"]))
            for one in found
        ]
        output.table(("CELL", "TENANT", "DEAD JOBS", "SINCE", "LAST"), rows, right=("DEAD JOBS",))
    elif not silent:
        output.line("No tenant has dead jobs.")
    for name, reason in silent.items():
        output.remark(f"{name} did not tell: {reason}")
    if silent:
        raise typer.Exit(5)


def _dead(service: Placement, cells: list[str], limit: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    found: list[dict[str, Any]] = []
    silent: dict[str, str] = {}
    for name in cells:
        try:
            tenants = service.listed(f"/v1/cells/{quoted(name)}/dead-jobs", "tenants", limit)
        except ConsoleError as error:
            if len(cells) == 1:
                raise
            silent[name] = str(error)
            continue
        found += [{"cell_id": name, **tenant} for tenant in tenants]
    return found, silent


@app.command(epilog=EXIT_CODES)
def retry(
    tenant: Tenant,
    jobs: Jobs = None,
    all_: All = False,
    actor: Actor = None,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Have dead jobs tried again, with eight more attempts; a named one that waits has its time now."""
    body = _which(jobs, all_, actor)
    with placement(root) as service:
        done = service.call("POST", f"/v1/tenants/{quoted(tenant)}/jobs:retry", body)
    _told("tried again", done, json)


@app.command(epilog=EXIT_CODES)
def discard(
    tenant: Tenant,
    jobs: Jobs = None,
    all_: All = False,
    actor: Actor = None,
    yes: Yes = False,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Give up dead jobs for good, or waiting ones by name: what they were to do is never done."""
    body = _which(jobs, all_, actor)
    what = f"{len(jobs)} jobs" if jobs else f"dead jobs{f' of {actor}' if actor else ''}"
    confirm(f"Discard {what} of {tenant}, for good?", yes)
    with placement(root) as service:
        done = service.call("POST", f"/v1/tenants/{quoted(tenant)}/jobs:discard", body)
    _told("discarded", done, json)


def _which(jobs: list[str] | None, all_: bool, actor: str | None) -> dict[str, Any]:
    if bool(jobs) == all_:
        raise Usage("name jobs, or say --all")
    if jobs and actor is not None:
        raise Usage("--actor goes with --all, not with named jobs")
    return {"jobs": jobs} if jobs else {"all": True, "actor": actor}


def _told(verb: str, done: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json(done)
    else:
        more = f"; {done['left']} dead ones are left: say it again" if done["left"] else ""
        output.line(f"{done['jobs']} {verb}{more}")


def _row(job: dict[str, Any]) -> tuple[Any, ...]:
    return (
        job["job_id"],
        job["actor"],
        job["lane"],
        output.coloured(job["state"], STYLES.get(job["state"], "")),
        f"{job['attempts']}/{job['most_attempts']}",
        _time(job["update_time"]),
        _time(job["wake_time"]),
        job["last_error"],
    )


def _time(text: str | None) -> str | None:
    return text[:19].replace("T", " ") if text else None
