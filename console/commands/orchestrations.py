"""`cellway orchestrations …`"""

from typing import Annotated, Any

import typer

from console import output
from console.calls import quoted
from console.commands.options import HERE, Json, Limit, Root, Tenant, Yes, confirm, placement
from console.errors import EXIT_CODES

app = typer.Typer(
    help="Look at tenants' orchestrations, and help those that are stuck.", no_args_is_help=True, epilog=EXIT_CODES
)
COLUMNS = ("ORCHESTRATION", "WORKFLOW", "ABOUT", "STATE", "STEPS", "BEGAN", "NEXT ACTION")

Name = Annotated[
    str, typer.Argument(help="The orchestration, as `cellway orchestrations list` shows it.", metavar="NAME")
]
Step = Annotated[
    str | None, typer.Argument(help="The step; without it, those that wait for it.", metavar="[STEP]")
]


@app.command("list", epilog=EXIT_CODES)
def list_(
    tenant: Tenant,
    state: Annotated[
        str | None, typer.Option(help="PENDING, RUNNING, SUCCEEDED, FAILED or CANCELLED: what the tenant sees.")
    ] = None,
    workflow: Annotated[str | None, typer.Option(help="Only of this workflow.")] = None,
    stuck: Annotated[bool, typer.Option("--stuck", help="Only those that wait for an operator.")] = False,
    limit: Limit = 50,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """List a tenant's orchestrations, newest first."""
    path, seen = f"/v1/tenants/{quoted(tenant)}/orchestrations", state.upper() if state else None
    only = "true" if stuck else None
    with placement(root) as service:
        found = service.listed(path, "orchestrations", limit + 1, state=seen, workflow=workflow, stuck=only)
    if len(found) > limit:
        output.remark(f"only the newest {limit} are listed, and there are more: say --limit")
    found = found[:limit]
    if json:
        output.as_json(found)
    elif found:
        output.table(COLUMNS, [_row(each) for each in found], right=("STEPS",))
    else:
        output.line("Nothing is stuck." if stuck else "No orchestrations.")


@app.command(epilog=EXIT_CODES)
def show(tenant: Tenant, name: Name, root: Root = HERE, json: Json = False) -> None:
    """Show an orchestration: its steps as a tree, what is in the way, and what happens next. Times are UTC."""
    with placement(root) as service:
        _print(service.call("GET", _path(tenant, name)), tenant, json)


@app.command(epilog=EXIT_CODES)
def retry(tenant: Tenant, name: Name, step: Step = None, root: Root = HERE, json: Json = False) -> None:
    """Have a step, or its compensation, tried again: now, and with all its attempts."""
    with placement(root) as service:
        _print(service.call("POST", f"{_path(tenant, name)}:retry", {"step": step}), tenant, json)


@app.command(epilog=EXIT_CODES)
def skip(
    tenant: Tenant, name: Name, step: Step = None, yes: Yes = False, root: Root = HERE, json: Json = False
) -> None:
    """Let a step, or its compensation, pass. What it may have done stays: see to it first."""
    what = f"step {step}" if step else "the step that waits for it"
    confirm(f"Let {what} of {name} pass, and leave what it may have done?", yes)
    with placement(root) as service:
        _print(service.call("POST", f"{_path(tenant, name)}:skip", {"step": step}), tenant, json)


@app.command(epilog=EXIT_CODES)
def cancel(tenant: Tenant, name: Name, yes: Yes = False, root: Root = HERE, json: Json = False) -> None:
    """Have an orchestration go back: what its steps did is undone."""
    confirm(f"Cancel {name}, and undo what its steps did?", yes)
    with placement(root) as service:
        _print(service.call("POST", f"{_path(tenant, name)}:cancel"), tenant, json)


def _path(tenant: str, name: str) -> str:
    return f"/v1/tenants/{quoted(tenant)}/orchestrations/{quoted(name)}"


def _print(found: dict[str, Any], tenant: str, json: bool) -> None:
    if json:
        output.as_json(found)
        return
    from console.steps import draw

    output.draw(draw(found, tenant))


def _row(found: dict[str, Any]) -> tuple[Any, ...]:
    from console.steps import moment, state_style

    return (
        found["orchestration_id"],
        found["workflow"],
        found["target"],
        output.coloured(found["state"], state_style(found)),
        f"{found['steps_done']}/{found['steps_total']}",
        moment(found["create_time"]),
        found["next_action"],
    )
