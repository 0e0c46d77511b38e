"""`cellway keys …`"""

from typing import Annotated, Any

import typer

from console import output
from console.calls import quoted
from console.commands.options import HERE, PATIENCE_SECONDS, Json, Root, Tenant, placement
from console.errors import EXIT_CODES

app = typer.Typer(help="Create, list and revoke tenants' API keys.", no_args_is_help=True, epilog=EXIT_CODES)
COLUMNS = ("KEY", "DISPLAY NAME", "CREATED", "REVOKED")


@app.command(epilog=EXIT_CODES)
def create(
    tenant: Tenant,
    display_name: Annotated[str, typer.Option(help="What it is for.")] = "key",
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same again within a day gives the same key.")
    ] = None,
    secret_only: Annotated[
        bool,
        typer.Option("--secret-only", help="Print the API key and nothing else: KEY=$(cellway keys create …)"),
    ] = False,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Make a further API key, and print it, which is shown this once."""
    body = {"display_name": display_name}
    with placement(root) as service:
        made = service.patiently(f"/v1/tenants/{quoted(tenant)}/keys", body, PATIENCE_SECONDS, idempotency_key)
    if json:
        output.as_json(made)
        return
    if secret_only:
        output.line(made["api_key"])
        return
    output.facts({"key": made["key_id"], "API key": made["api_key"]})
    output.line("It is shown this once.")


@app.command("list", epilog=EXIT_CODES)
def list_(tenant: Tenant, root: Root = HERE, json: Json = False) -> None:
    """List a tenant's API keys, revoked ones too; never their secrets."""
    with placement(root) as service:
        found: list[dict[str, Any]] = service.call("GET", f"/v1/tenants/{quoted(tenant)}/keys")["keys"]
    if json:
        output.as_json(found)
    else:
        output.table(COLUMNS, [_row(key) for key in found])


@app.command(epilog=EXIT_CODES)
def revoke(
    tenant: Tenant,
    key: Annotated[str, typer.Argument(help="The key, as `cellway keys list` shows it.", metavar="KEY")],
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Revoke an API key at once."""
    with placement(root) as service:
        found = service.call("POST", f"/v1/tenants/{quoted(tenant)}/keys/{quoted(key)}:revoke")
    if json:
        output.as_json(found)
    else:
        output.facts(dict(zip((column.lower() for column in COLUMNS), _row(found), strict=True)))


def _row(key: dict[str, Any]) -> tuple[Any, ...]:
    return key["key_id"], key["display_name"], _time(key["create_time"]), _time(key["revoke_time"])


def _time(text: str | None) -> str | None:
    return text[:19].replace("T", " ") if text else None
