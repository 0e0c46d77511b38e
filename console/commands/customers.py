"""`cellway tenants onboard` and `offboard`: the life of a customer, from the operator's side."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from console import output
from console.amounts import paid
from console.calls import Placement, Service, quoted
from console.commands.options import HERE, PATIENCE_SECONDS, Json, Root, Tenant
from console.errors import EXIT_CODES, Later, NotFound, NotRunning, Refused
from console.whereabouts import Whereabouts

WAIT_SECONDS = 60.0
LOOK_SECONDS = 0.1
"""Between two looks at an operation; through the router it is waited for, and looked at no less often."""
DONE = ("SUCCEEDED", "COMPLETED")
UNDONE = ("FAILED", "CANCELLED", "ROLLED_BACK")
"""In the words of a tenant's operation, and in those of the cell's own."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=EXIT_CODES)(onboard)
    app.command(epilog=EXIT_CODES)(offboard)


@dataclass(slots=True)
class Onboarded:
    """What has come of it so far. `api_key` is a secret, there when the tenant was just made."""

    tenant_id: str
    cell_id: str
    operation: str
    api_key: str | None
    state: str = "PENDING"
    endpoint: str | None = None
    seconds: float = 0.0


def onboard(
    tenant: Tenant,
    email: Annotated[str, typer.Option(help="Of the first administrator; the welcome goes there.")],
    display_name: Annotated[str | None, typer.Option(help="For people; otherwise the name itself.")] = None,
    account: Annotated[str, typer.Option(help="The first account.")] = "main",
    namespace: Annotated[str, typer.Option(help="The first namespace.")] = "prod",
    plan: Annotated[str, typer.Option(help="The plan: standard or premium.")] = "standard",
    trial_days: Annotated[int, typer.Option(min=0, max=365, help="How long it is free; 0: pays at once.")] = 14,
    region: Annotated[str | None, typer.Option(help="Only cells of this region, for a new tenant.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Only cells that have this tag; may be said again.")
    ] = None,
    revenue: Annotated[float | None, typer.Option(help="What it pays a month.")] = None,
    attempt: Annotated[int, typer.Option(min=1, max=999, help="Count up after it was rolled back.")] = 1,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same again within a day gives the same tenant and key.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Make a customer of a tenant, which is created if there is none: account, subscription, first namespace.

    The same command again is the same work. A new tenant's first API key is shown this once. Tags and revenue of a
    tenant that is there already are replaced when they are said; it is not moved by that.
    """
    customer = {
        "email": email,
        "display_name": display_name or tenant,
        "account_id": account,
        "namespace_id": namespace,
        "plan": plan,
        "trial_days": trial_days or None,
    }
    body = {"tenant_id": tenant, "display_name": display_name or tenant, "plan": plan, "region": region}
    wishes = {"tags": tag, "revenue": None if revenue is None else paid(revenue)}
    place = {name: wish for name, wish in wishes.items() if wish is not None}
    order = {**customer, "attempt": attempt}
    where = Whereabouts(root)
    with ExitStack() as held:
        placement = held.enter_context(Placement(where.placement()))
        began = time.monotonic()
        if idempotency_key is None and _is_there(placement, tenant):
            found = _ordered(placement, tenant, {**order, **place})
        else:
            asked = {**body, **place, "customer": customer}
            made = placement.patiently("/v1/tenants", asked, PATIENCE_SECONDS, idempotency_key)
            found = Onboarded(tenant, made["cell_id"], made["operation"], made["api_key"])
        try:
            if wait:
                router = _router(held, where)
                steps = (
                    _seen_by_operator(placement, found, order)
                    if router is None or found.api_key is None
                    else _seen_by_tenant(router, found, f"accounts/{account}/namespaces/{namespace}")
                )
                _follow(found, steps, began, attempt, json)
        finally:
            # Whatever went wrong meanwhile: the key is in no other answer.
            found.seconds = round(time.monotonic() - began, 3)
            _show(found, json)


def offboard(
    tenant: Tenant,
    retention_days: Annotated[
        int, typer.Option(min=30, max=90, help="So long its data is kept, and it may come back.")
    ] = 30,
    cancel: Annotated[bool, typer.Option("--cancel", help="The customer stays after all.")] = False,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Let a customer leave: served no more from now on, deleted when its time is over. --cancel takes it back."""
    path = f"/v1/tenants/{quoted(tenant)}/offboarding"
    with Placement(Whereabouts(root).placement()) as placement:
        if cancel:
            work = placement.call("POST", f"{path}:cancel")
        else:
            work = placement.call("POST", path, {"retention_days": retention_days})
    if json:
        output.as_json(work)
        return
    output.facts(_facts(work["tenant_id"], work["cell_id"], work["operation"], work["state"]))
    if cancel:
        output.line("The customer stays; what was stopped is taken up again within moments.")
    else:
        output.line(
            f"Until the deletion begins the customer can be kept: cellway tenants offboard {tenant} --cancel"
        )


def _is_there(placement: Placement, tenant: str) -> bool:
    try:
        placement.call("GET", f"/v1/tenants/{quoted(tenant)}")
    except NotFound:
        return False
    return True


def _ordered(placement: Placement, tenant: str, order: dict[str, Any]) -> Onboarded:
    work = placement.call("PUT", f"/v1/tenants/{quoted(tenant)}/onboarding", order)
    return Onboarded(tenant, work["cell_id"], work["operation"], None, work["state"])


def _router(held: ExitStack, where: Whereabouts) -> Service | None:
    """None where only placement is known."""
    try:
        return held.enter_context(Service(where.router()))
    except NotRunning:
        return None


def _seen_by_operator(placement: Placement, found: Onboarded, order: dict[str, Any]) -> Iterator[str]:
    """State after state, by asking for the same work again."""
    while True:
        found.state = _ordered(placement, found.tenant_id, order).state
        yield found.state
        time.sleep(LOOK_SECONDS)


def _seen_by_tenant(router: Service, found: Onboarded, namespace: str) -> Iterator[str]:
    """Step after step, as a developer of the tenant sees them, and where the namespace answers."""
    while True:
        operation = _asked(router, found, f"operations/{found.operation}:wait?timeout_seconds={LOOK_SECONDS}")
        if operation is None:  # the router hears of a new tenant a moment later
            yield found.state
            time.sleep(LOOK_SECONDS)
            continue
        if operation["state"] in DONE:
            found.endpoint = (_asked(router, found, namespace) or {}).get("endpoint")
        found.state = operation["state"]
        progress = operation["progress"]
        told = f"{progress['steps_done']} of {len(progress['steps'])} steps"
        yield f"{told}, at {progress['step']}" if progress["step"] else f"{told}, {found.state}"


def _asked(router: Service, found: Onboarded, path: str) -> dict[str, Any] | None:
    headers = {"Authorization": f"Bearer {found.api_key}"}
    response = router.send("GET", f"/t/{quoted(found.tenant_id)}/v1/{path}", headers=headers)
    if not response.is_success:
        return None
    answer: dict[str, Any] = response.json()
    return answer


def _follow(found: Onboarded, steps: Iterator[str], began: float, attempt: int, json: bool) -> None:
    """Until it has ended, telling each step. Refused when it was undone; Later when it takes too long."""
    last = ""
    for step in steps:
        if step != last and not json:
            output.line(f"{time.monotonic() - began:6.2f} s  {step}")
        last = step
        if found.state in DONE:
            return
        if found.state in UNDONE:
            again = f"once the reason is gone, say --attempt {attempt + 1}"
            raise Refused(f"the onboarding of {found.tenant_id} was undone ({found.operation}); {again}")
        if time.monotonic() - began > WAIT_SECONDS:
            raise Later(f"the onboarding of {found.tenant_id} goes on by itself: the same command follows it")


def _show(found: Onboarded, json: bool) -> None:
    if json:
        output.as_json(asdict(found))
        return
    facts = _facts(found.tenant_id, found.cell_id, found.operation, found.state)
    known = {"endpoint": found.endpoint, "API key": found.api_key}
    facts |= {name: value for name, value in known.items() if value is not None}
    output.facts({**facts, "took": f"{found.seconds:.2f} s"})
    if found.api_key is not None:
        output.line("It is shown this once: keep it now, or make another with `cellway keys create`.")


def _facts(tenant: str, cell: str, operation: str, state: str) -> dict[str, str]:
    return {"tenant": tenant, "cell": cell, "operation": operation, "state": state}
