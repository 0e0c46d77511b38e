"""`cellway tenants …`"""

from typing import Annotated, Any

import typer

from console import output
from console.amounts import paid
from console.calls import quoted
from console.commands import customers, dedicating, loads
from console.commands.options import HERE, PATIENCE_SECONDS, Json, Limit, Root, Tenant, Yes, confirm, placement
from console.errors import EXIT_CODES, Usage
from directory.rules.rates import MOST_BURST, MOST_PER_SECOND

app = typer.Typer(
    help="Create, look at, limit, dedicate, suspend and delete tenants; on- and offboard customers.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
)
customers.add_to(app)
dedicating.add_to(app)
loads.add_to_tenants(app)
COLUMNS = ("TENANT", "DISPLAY NAME", "STATE", "CELL", "EPOCH", "PLAN", "SETTLED", "CREATED")


@app.command(epilog=EXIT_CODES)
def create(
    tenant: Tenant,
    display_name: Annotated[str | None, typer.Option(help="For people; otherwise the name itself.")] = None,
    plan: Annotated[str, typer.Option(help="The plan that it is on.")] = "standard",
    region: Annotated[str | None, typer.Option(help="Only cells of this region.")] = None,
    near: Annotated[
        list[str] | None, typer.Option(help="A region that would be good; say it again for the next best.")
    ] = None,
    reservation: Annotated[
        str | None, typer.Option(help="Use up room that was reserved: `cellway place --reserve 10m`.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Only cells that have this tag; may be said again.")
    ] = None,
    revenue: Annotated[float, typer.Option(help="What it pays a month.")] = 0.0,
    dedicated_to: Annotated[str | None, typer.Option(help="Only cells that are dedicated to this.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same again within a day gives the same tenant and key.")
    ] = None,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Create a tenant in the best cell, and print its first API key, which is shown this once."""
    body = {
        "tenant_id": tenant,
        "display_name": display_name or tenant,
        "plan": plan,
        "region": region,
        "tags": tag or [],
        "revenue": paid(revenue),
        "dedicated_to": dedicated_to,
    }
    wishes = {"near": near, "reservation": reservation}
    asked = body | {name: wish for name, wish in wishes.items() if wish}
    with placement(root) as service:
        made = service.patiently("/v1/tenants", asked, PATIENCE_SECONDS, idempotency_key)
    if json:
        output.as_json(made)
        return
    _show(made)
    output.line()
    output.facts({"why there": "; ".join(made["placement"]["reasons"])})
    for runner in made["placement"]["runners_up"]:
        output.facts({"runner-up": f"{runner['cell_id']}: {runner['reason']}"})
    output.line()
    if made["api_key"] is None:
        output.line("Its cell keeps no API keys.")
        return
    output.facts({"API key": made["api_key"]})
    output.line("It is shown this once: keep it now, or make another with `cellway keys create`.")


@app.command("list", epilog=EXIT_CODES)
def list_(
    cell: Annotated[str | None, typer.Option(help="Only tenants of this cell.")] = None,
    state: Annotated[str | None, typer.Option(help="active, suspended or deleted.")] = None,
    limit: Limit = 1000,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """List tenants and the cells that they live in."""
    with placement(root) as service:
        found = service.listed("/v1/tenants", "tenants", limit + 1, cell=cell, state=state)
    if len(found) > limit:
        output.remark(f"only the first {limit} are listed, and there are more: say --limit")
    found = found[:limit]
    if json:
        output.as_json(found)
    elif found:
        output.table(COLUMNS, [_row(tenant) for tenant in found], right=("EPOCH",))
    else:
        output.line("No tenants. Create one: cellway tenants create acme")


@app.command(epilog=EXIT_CODES)
def show(tenant: Tenant, root: Root = HERE, json: Json = False) -> None:
    """Show one tenant."""
    with placement(root) as service:
        _print(service.call("GET", f"/v1/tenants/{quoted(tenant)}"), json)


@app.command(epilog=EXIT_CODES)
def update(
    tenant: Tenant,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="In place of those before; may be said again.")
    ] = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Its cell needs no tag any more.")] = False,
    revenue: Annotated[float | None, typer.Option(help="What it pays a month.")] = None,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Say which tags the tenant's cell must have, and what it pays; what is not said stays.

    It is not moved by that: a tenant that may no longer live where it lives is moved by the next plan.
    """
    if no_tags and tag:
        raise Usage("say --tag or --no-tags")
    wanted = {"tags": [] if no_tags else tag, "revenue": None if revenue is None else paid(revenue)}
    body = {name: value for name, value in wanted.items() if value is not None}
    if not body:
        raise Usage("say what to change: `cellway tenants update --help`")
    with placement(root) as service:
        _print(service.call("PATCH", f"/v1/tenants/{quoted(tenant)}", body), json)


@app.command(epilog=EXIT_CODES)
def limit(
    tenant: Tenant,
    per_second: Annotated[float | None, typer.Option(help="So many requests a second in the long run.")] = None,
    burst: Annotated[
        int | None, typer.Option(min=1, max=MOST_BURST, help="So many at once, after a pause.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Lift the limit.")] = False,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Limit how many requests each router process grants the tenant; those beyond get 429."""
    body = _rate(per_second, burst, none)
    with placement(root) as service:
        method = "DELETE" if body is None else "PUT"
        _print(service.call(method, f"/v1/tenants/{quoted(tenant)}/rate", body), json)


def _rate(per_second: float | None, burst: int | None, none: bool) -> dict[str, Any] | None:
    if none and per_second is None and burst is None:
        return None
    if none or per_second is None or burst is None:
        raise Usage("say both --per-second and --burst, or --none alone")
    if not 0 < per_second <= MOST_PER_SECOND:  # so written, it refuses NaN too
        raise Usage(f"--per-second is more than 0 and at most {MOST_PER_SECOND:,.0f}")
    return {"per_second": per_second, "burst": burst}


@app.command(epilog=EXIT_CODES)
def suspend(tenant: Tenant, root: Root = HERE, json: Json = False) -> None:
    """Refuse the tenant's requests; its data stays."""
    with placement(root) as service:
        _print(service.call("POST", f"/v1/tenants/{quoted(tenant)}:suspend"), json)


@app.command(epilog=EXIT_CODES)
def resume(tenant: Tenant, root: Root = HERE, json: Json = False) -> None:
    """Serve a suspended tenant again."""
    with placement(root) as service:
        _print(service.call("POST", f"/v1/tenants/{quoted(tenant)}:resume"), json)


@app.command(epilog=EXIT_CODES)
def delete(tenant: Tenant, yes: Yes = False, root: Root = HERE, json: Json = False) -> None:
    """Delete a suspended tenant and all its data, for good; its name stays taken."""
    with placement(root) as service:
        found = service.call("GET", f"/v1/tenants/{quoted(tenant)}")
        if found["state"] != "deleted":
            confirm(f"Delete tenant {tenant} and all its data, for good?", yes)
        _print(service.call("DELETE", f"/v1/tenants/{quoted(tenant)}"), json)


def _print(tenant: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json(tenant)
    else:
        _show(tenant)


def _show(tenant: dict[str, Any]) -> None:
    facts = dict(zip((column.lower() for column in COLUMNS), _row(tenant), strict=True))
    own = {
        "limit": _limit(tenant["rate"]),
        "region": tenant["region"] or "any",
        "tags": tenant["tags"],
        "dedicated to": tenant["dedicated_to"],
        "revenue": f"{tenant['revenue']:,.10g} a month",
    }
    output.facts({**facts, **own})


def _limit(rate: dict[str, Any] | None) -> str:
    return "none" if rate is None else f"{rate['per_second']:.10g} requests a second, {rate['burst']} at once"


def _row(tenant: dict[str, Any]) -> tuple[Any, ...]:
    return (
        tenant["tenant_id"],
        tenant["display_name"],
        tenant["state"],
        tenant["cell_id"],
        tenant["epoch"],
        tenant["plan"],
        tenant["settled"],
        tenant["create_time"][:19].replace("T", " "),
    )
