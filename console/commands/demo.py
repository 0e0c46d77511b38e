"""`cellway demo`: a few tenants, their own data through the router, and which cell served each request."""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from console import output
from console.calls import Placement, Service
from console.commands.options import HERE, PATIENCE_SECONDS, Json, Root
from console.errors import EXIT_CODES, Later, NotFound, Refused
from console.whereabouts import Whereabouts

NAMES = ("acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "wonka", "tyrell", "cyberdyne")
SEEN_SECONDS = 5.0
"""How long a new tenant may take until the router knows it; a quarter of a second is usual."""


@dataclass(frozen=True, slots=True)
class Served:
    """One request as its tenant saw it, and the cell that served it."""

    tenant: str
    request: str
    status: int
    milliseconds: float
    cell: str
    answer: str


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(demo)


def demo(
    tenants: Annotated[int, typer.Option(min=1, max=len(NAMES), help="How many tenants.")] = 4,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Create tenants, create and read namespaces through the router, and show which cell served each request."""
    where = Whereabouts(root)
    with ExitStack() as held:
        placement = held.enter_context(Placement(where.placement()))
        router = held.enter_context(Service(where.router()))
        admin = held.enter_context(Service(where.router_admin()))
        made = [_tenant(placement, f"{name}-{secrets.token_hex(2)}") for name in NAMES[:tenants]]
        served = [one for tenant in made for one in _session(router, admin, tenant)]
    if json:
        output.as_json({"tenants": made, "requests": [asdict(one) for one in served]})
    else:
        _show(made, served)
    failed = [one for one in served if one.status >= 400]
    if failed:
        raise Refused(f"{len(failed)} of {len(served)} requests failed: `cellway doctor` may say why")


def _tenant(placement: Placement, name: str) -> dict[str, Any]:
    body = {"tenant_id": name, "display_name": name.title()}
    made: dict[str, Any] = placement.patiently("/v1/tenants", body, PATIENCE_SECONDS)
    return made


def _session(router: Service, admin: Service, tenant: dict[str, Any]) -> Iterator[Served]:
    """What a tenant's developer does on the first day."""
    caller = _Caller(router, admin, tenant["tenant_id"], tenant["api_key"])
    caller.until_known()
    yield caller.ask("POST", "/v1/accounts", {"account_id": "main", "display_name": "Main account"})
    yield caller.ask("POST", "/v1/accounts/main/namespaces", {"namespace_id": "first", "display_name": "First"})
    if (operation := caller.last.get("name")) is not None:
        yield caller.ask("GET", f"/v1/{operation}:wait?timeout_seconds=10")
    yield caller.ask("GET", "/v1/accounts/main/namespaces/first")
    yield caller.ask("GET", "/v1/accounts")


class _Caller:
    """One tenant's developer: only the router and the API key are known here."""

    def __init__(self, router: Service, admin: Service, tenant: str, api_key: str) -> None:
        self._router, self._admin, self._tenant, self._api_key = router, admin, tenant, api_key
        self.last: dict[str, Any] = {}

    def until_known(self) -> None:
        """The router hears of a new tenant a moment later."""
        end = time.monotonic() + SEEN_SECONDS
        while self._cell() == "?" and time.monotonic() < end:
            time.sleep(0.02)

    def ask(self, method: str, path: str, body: Any = None) -> Served:
        """One request through the router, by the tenant's path; `last` keeps its JSON."""
        headers = {"Authorization": f"Bearer {self._api_key}"}
        if method == "POST":
            headers["Idempotency-Key"] = secrets.token_hex(8)
        began = time.monotonic()
        response = self._router.send(method, f"/t/{self._tenant}{path}", body, headers=headers)
        milliseconds = round((time.monotonic() - began) * 1000, 1)
        try:
            self.last = response.json()
        except ValueError:
            self.last = {}
        request = f"{method} {path.partition('?')[0]}"
        return Served(self._tenant, request, response.status_code, milliseconds, self._cell(), _gist(self.last))

    def _cell(self) -> str:
        """Where the router sends this tenant."""
        try:
            return str(self._admin.call("GET", f"/table/{self._tenant}")["cell"])
        except (NotFound, Later):
            return "?"


def _gist(answer: dict[str, Any]) -> str:
    if "message" in answer:
        return str(answer["message"])
    listed = next((value for value in answer.values() if isinstance(value, list)), None)
    if listed is not None and "next_page_token" in answer:
        return f"{len(listed)} found"
    return " ".join(str(answer[field]) for field in ("name", "state", "endpoint") if answer.get(field))


def _show(made: list[dict[str, Any]], served: list[Served]) -> None:
    columns = ("TENANT", "REQUEST", "STATUS", "MS", "CELL", "ANSWER")
    rows = [
        (one.tenant, one.request, one.status, one.milliseconds, output.coloured(one.cell, "cyan"), one.answer)
        for one in served
    ]
    output.table(columns, rows, right=("STATUS", "MS"))
    output.line()
    output.line("Their API keys, to go on with:")
    output.table(
        ("TENANT", "CELL", "API KEY"), [(one["tenant_id"], one["cell_id"], one["api_key"]) for one in made]
    )
