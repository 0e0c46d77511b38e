"""`cellway plan …`"""

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from console import output
from console.calls import Placement, quoted
from console.commands.moves import seconds_of
from console.commands.options import HERE, Json, Limit, Root, Yes, confirm, placement
from console.errors import EXIT_CODES, Later, NotFound, NotRunning, Refused

app = typer.Typer(
    help="Level the fleet: see who should move and why, approve, follow, pause, stop.", epilog=EXIT_CODES
)
COLUMNS = ("PLAN", "KIND", "STATE", "MADE", "MOVES", "MOVED", "FAILED", "REMARK")
MOVE_COLUMNS = ("NUMBER", "WAVE", "TENANT", "FROM", "TO", "BYTES", "STATE", "MOVE", "WHY")
LOOK_SECONDS = 0.5
MAKING_SECONDS = 180.0
"""For a fleet to be read and searched: a million tenants take a minute."""
WAY_COLUMNS = ("MOVE", "TENANT", "FROM", "TO")
MOST_LEFT = 50
"""Moves that were left to themselves, of which is asked whether they go on."""
SHOWN_MOVES = 1000
"""That are read for a picture; `--moves` reads all."""

Name = Annotated[str, typer.Argument(help="The plan; without one the latest.", metavar="[PLAN]")]
Patience = Annotated[str, typer.Option("--timeout", help="Follow it no longer than this: 90s, 30m, 12h.")]


@app.callback(invoke_without_command=True)
def make(
    context: typer.Context,
    drain: Annotated[str | None, typer.Option(help="As it would be to drain this cell.", metavar="CELL")] = None,
    start: Annotated[float, typer.Option(help="Nobody moves to level load while no cell is above it.")] = 1.15,
    stop: Annotated[float, typer.Option("--to", help="What the fullest cells are brought down to.")] = 1.08,
    at_once: Annotated[int, typer.Option(help="Moves at once.")] = 10,
    of_a_cell: Annotated[int, typer.Option(help="Moves of a cell at once.")] = 4,
    bytes_an_hour: Annotated[float | None, typer.Option(help="Carried in an hour, at most.")] = None,
    seconds: Annotated[float, typer.Option(help="For the search; then the best so far is the plan.")] = 20.0,
    quick: Annotated[bool, typer.Option("--quick", help="By local search alone.")] = False,
    reverse_window: Annotated[str, typer.Option(help="How long each move keeps its way back.")] = "1h",
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Make a plan and show it; nothing moves before `cellway plan approve`."""
    if context.invoked_subcommand is not None:
        return
    goals = {
        "start": start,
        "stop": stop,
        "moves_at_once": at_once,
        "moves_of_a_cell": of_a_cell,
        "bytes_an_hour": bytes_an_hour,
        "seconds": seconds,
        "exact": not quick,
        "reverse_seconds": seconds_of(reverse_window),
    }
    body = {"kind": "balance" if drain is None else "drain", "cell_id": drain, "goals": goals}
    with placement(root) as service:
        _print(service, service.call("POST", "/v1/plans", body, seconds=MAKING_SECONDS), json)


@app.command("list", epilog=EXIT_CODES)
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    cell: Annotated[str | None, typer.Option(help="Only drains of this cell.")] = None,
    limit: Limit = 100,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """List plans that have not ended, the latest first."""
    with placement(root) as service:
        found = service.listed("/v1/plans", "plans", limit, unfinished=None if all_ else "true", cell=cell)
    if json:
        output.as_json(found)
    elif found:
        output.table(COLUMNS, [_row(plan) for plan in found], right=("MOVES", "MOVED", "FAILED"))
    else:
        output.line("No plans." if all_ else "No plan is under way. Make one: cellway plan")


@app.command(epilog=EXIT_CODES)
def show(
    name: Name = "",
    moves: Annotated[bool, typer.Option("--moves", help="List its moves one by one.")] = False,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Show a plan: the balance before and after, what it costs, who moves and why, how far it is. UTC."""
    with placement(root) as service:
        found = service.call("GET", _path(service, name))
        if moves and not json:
            rows = [_move_row(move) for move in _moves(service, found, 1_000_000)]
            output.table(MOVE_COLUMNS, rows, right=("NUMBER", "WAVE", "BYTES"))
        else:
            _print(service, found, json)


@app.command(epilog=EXIT_CODES)
def approve(name: Name = "", yes: Yes = False, root: Root = HERE, json: Json = False) -> None:
    """Have a plan carried out, wave by wave; after each it is made anew with what really happened."""
    with placement(root) as service:
        path = _path(service, name)
        if not yes:
            from console.plans import promised

            plan = service.call("GET", path)
            confirm(f"Carry out {plan['plan_id']}: {promised(plan)}?", yes=False)
        _brief(service.call("POST", f"{path}:approve"), json)


@app.command(epilog=EXIT_CODES)
def pause(name: Name = "", root: Root = HERE, json: Json = False) -> None:
    """Begin no further moves for now; those that are under way, which are told, arrive."""
    _halt(root, name, "pause", json)


@app.command(epilog=EXIT_CODES)
def resume(name: Name = "", root: Root = HERE, json: Json = False) -> None:
    """Go on with a paused plan."""
    with placement(root) as service:
        _brief(service.call("POST", f"{_path(service, name)}:resume"), json)


@app.command(epilog=EXIT_CODES)
def stop(name: Name = "", root: Root = HERE, json: Json = False) -> None:
    """Begin no further moves, for good; those that are under way, which are told, arrive, and nobody goes back."""
    _halt(root, name, "stop", json)


@app.command(epilog=EXIT_CODES)
def watch(name: Name = "", timeout: Patience = "12h", root: Root = HERE, json: Json = False) -> None:
    """Follow a plan until it has ended."""
    from console.plans import status

    with placement(root) as service:
        path = _path(service, name)
        found = follow(
            lambda: service.call("GET", path),
            lambda plan: f"{status(plan)}{_remark(plan)}",
            lambda plan: plan["end_time"] is not None,
            seconds_of(timeout),
            json,
        )
        _print(service, found, json)
    if found["state"] == "FAILED":
        raise Refused(f"plan {found['plan_id']} failed: {found['error']}")


def follow_drain(service: Placement, cell: str, patience_seconds: float, json: bool) -> dict[str, Any]:
    """Until the cell drains no longer. Later."""
    from console.plans import drained

    return follow(
        lambda: service.call("GET", f"/v1/cells/{quoted(cell)}/drain"),
        lambda found: drained(found) + (f": {found['waits_for']}" if found["waits_for"] else ""),
        lambda found: found["state"] != "draining",
        patience_seconds,
        json,
    )


def follow(
    look: Callable[[], dict[str, Any]],
    told: Callable[[dict[str, Any]], str],
    over: Callable[[dict[str, Any]], bool],
    patience_seconds: float,
    silent: bool,
) -> dict[str, Any]:
    """A line whenever there is something new; what it was in the end. Later when that takes too long."""
    began, seen, found = time.monotonic(), "", look()
    while True:
        if (text := told(found)) != seen and not silent:
            output.line(f"{time.monotonic() - began:8.1f} s  {text}")
        seen = text
        if over(found):
            return found
        if time.monotonic() - began > patience_seconds:
            raise Later("it goes on by itself: follow it further with the same command")
        time.sleep(LOOK_SECONDS)
        try:
            found = look()
        except (Later, NotRunning):
            # Placement restarts, perhaps; whoever leads then goes on.
            if time.monotonic() - began > patience_seconds:
                raise


def _path(service: Placement, name: str) -> str:
    if name:
        return f"/v1/plans/{quoted(name)}"
    for unfinished in ("true", None):
        if found := service.listed("/v1/plans", "plans", 1, unfinished=unfinished):
            return f"/v1/plans/{found[0]['plan_id']}"
    raise Refused("there is no plan; make one: cellway plan")


def _halt(root: Any, name: str, verb: str, json: bool) -> None:
    """Nothing is begun any more, and what was begun goes on: it is read afterwards, so it is all that there is."""
    from console.plans import halted

    with placement(root) as service:
        plan = service.call("POST", f"{_path(service, name)}:{verb}")
        under_way = _moves(service, plan, SHOWN_MOVES, "begun")
        left = [move for move in _moves(service, plan, MOST_LEFT, "left") if _goes_on(service, move)]
    if json:
        output.as_json({**plan, "under_way": under_way, "left": left})
        return
    output.facts({"plan": plan["plan_id"], "state": plan["state"]})
    if under_way:
        output.table(WAY_COLUMNS, [_way_row(move) for move in under_way])
    for line in halted(plan, under_way, left):
        output.line(line)


def _goes_on(service: Placement, move: dict[str, Any]) -> bool:
    """Of one that was left to itself: whether its tenant has neither arrived nor stayed by now."""
    from directory.rules.moves import LANDED

    try:
        return service.call("GET", f"/v1/moves/{quoted(move['move_id'])}")["phase"] not in LANDED
    except NotFound:
        return False


def _moves(service: Placement, plan: dict[str, Any], limit: int, state: str | None = None) -> list[dict[str, Any]]:
    return service.listed(f"/v1/plans/{plan['plan_id']}/moves", "moves", limit, state=state)


def _print(service: Placement, plan: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json({**plan, "moves": _moves(service, plan, 1_000_000)})
        return
    from console.plans import draw

    # Of one that goes on, what is yet to come.
    state = None if plan["end_time"] else "waiting"
    output.draw(draw(plan, _moves(service, plan, SHOWN_MOVES, state)))


def _brief(plan: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json(plan)
        return
    from console.plans import promised

    output.facts({"plan": plan["plan_id"], "state": plan["state"], "moves": promised(plan)})
    if plan["state"] == "APPROVED":
        output.line("It goes on by itself. Follow it: cellway plan watch " + plan["plan_id"])


def _row(plan: dict[str, Any]) -> tuple[Any, ...]:
    from console.plans import STYLES
    from console.steps import moment

    return (
        plan["plan_id"],
        f"drain {plan['cell_id']}" if plan["kind"] == "drain" else "balance" + (", automatic" * plan["automatic"]),
        output.coloured(plan["state"], STYLES[plan["state"]]),
        moment(plan["create_time"]),
        f"{plan['summary']['moves']:,}",
        f"{plan['moved']:,}",
        f"{plan['failed']:,}",
        plan["error"] or None,
    )


def _move_row(move: dict[str, Any]) -> tuple[Any, ...]:
    from console.moves import size_of

    return (
        move["number"],
        move["wave"],
        move["tenant_id"],
        move["source"],
        move["destination"],
        size_of(move["bytes"]),
        move["state"],
        move["move_id"] or None,
        move["error"] or move["reason"],
    )


def _way_row(move: dict[str, Any]) -> tuple[Any, ...]:
    return move["move_id"], move["tenant_id"], move["source"], move["destination"]


def _remark(plan: dict[str, Any]) -> str:
    return f": {plan['error']}" if plan["error"] else ""
