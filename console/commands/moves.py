"""`cellway moves …`"""

import re
import shutil
import sys
import time
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from console import output
from console.calls import Placement, quoted
from console.commands.options import HERE, Json, Limit, Root, Tenant, Yes, confirm, placement, spread
from console.errors import EXIT_CODES, EXIT_REFUSED, Later, NotFound, NotRunning, Refused, Usage
from directory.rules.moves import MOVE_ID

app = typer.Typer(
    help="Move tenants to other cells while they are being used, and back.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
)
COLUMNS = ("MOVE", "TENANT", "FROM", "TO", "PHASE", "PROGRESS", "PLANNED", "NEXT ACTION")
LOOK_SECONDS = 0.25
"""Between two looks at a move that is followed."""
MOST_MOVES = 10_000
"""Of one tenant."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)\Z")

Name = Annotated[
    str, typer.Argument(help="The move, or the tenant whose latest move is meant.", metavar="MOVE|TENANT")
]
Window = Annotated[str, typer.Option("--reverse-window", help="How long the way back is kept: 90s, 30m, 12h, 1d.")]
Hold = Annotated[bool, typer.Option("--hold", help="Stop before the switch, until `cellway moves switch`.")]
Budget = Annotated[float, typer.Option(help="Switch when writes are expected to pause no longer than this.")]
MostPause = Annotated[float, typer.Option(help="Give a switch up, and try again, when they pause longer.")]
Verify = Annotated[bool, typer.Option("--verify/--no-verify", help="Compare everything before the switch.")]
Reason = Annotated[str, typer.Option(help="Why, for people.")]
Plan = Annotated[
    bool,
    typer.Option("--plan", help="Begin nothing: show what would be carried, how long, and what is in the way."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Follow it until the tenant lives there, or it is held.")]
Patience = Annotated[str, typer.Option("--timeout", help="Follow it no longer than this: 90s, 30m, 12h.")]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a move is to be carried out, and for how long it is followed."""

    reverse_window: Window = "1d"
    hold: Hold = False
    pause_budget_ms: Budget = 250.0
    most_pause_ms: MostPause = 1000.0
    verify: Verify = True
    reason: Reason = ""
    plan: Plan = False
    wait: Wait = False
    timeout: Patience = "12h"

    def body(self) -> dict[str, Any]:
        """As placement is told. Usage."""
        if self.plan and self.wait:
            raise Usage("--plan begins nothing, so there is nothing to --wait for")
        seconds_of(self.timeout)
        options = {
            "reverse_seconds": seconds_of(self.reverse_window),
            "pause_budget_ms": self.pause_budget_ms,
            "most_pause_ms": self.most_pause_ms,
            "verify": self.verify,
            "hold": self.hold,
        }
        return {"options": options, "reason": self.reason}


@app.command(epilog=EXIT_CODES)
@spread
def start(
    tenant: Tenant,
    to: Annotated[str, typer.Option(help="The cell that it goes to.")],
    manner: Manner,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Move a tenant to another cell. It goes on being served meanwhile."""
    body = {"tenant_id": tenant, "destination": to, **manner.body()}
    with placement(root) as service:
        _begin(service, "/v1/moves:preview" if manner.plan else "/v1/moves", body, manner, json)


@app.command("list", epilog=EXIT_CODES)
def list_(
    tenant: Annotated[str | None, typer.Option(help="Only moves of this tenant.")] = None,
    cell: Annotated[str | None, typer.Option(help="Only moves that leave this cell, or go there.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    limit: Limit = 1000,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """List moves that have not ended, the oldest first."""
    unfinished = None if all_ else "true"
    with placement(root) as service:
        found = service.listed("/v1/moves", "moves", limit + 1, tenant=tenant, cell=cell, unfinished=unfinished)
    if len(found) > limit:
        output.remark(f"only the oldest {limit} are listed, and there are more: say --limit")
    found = found[:limit]
    if json:
        output.as_json(found)
    elif found:
        output.table(COLUMNS, [_row(move) for move in found])
    else:
        output.line("No moves." if all_ else "No move is under way.")


@app.command(epilog=EXIT_CODES)
def show(name: Name, root: Root = HERE, json: Json = False) -> None:
    """Show a move: its phases, how far it is, how long writes paused, what was proved, what is next. UTC."""
    with placement(root) as service:
        found = service.call("GET", _path(service, name))
        _print(service, found, json)


@app.command(epilog=EXIT_CODES)
def watch(
    name: Name,
    timeout: Patience = "12h",
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Follow a move until it has ended, or until only its way back is being kept."""
    patience_seconds = seconds_of(timeout)
    with placement(root) as service:
        found = service.call("GET", _path(service, name))
        _followed(service, found, patience_seconds, json, until_held=False)


@app.command(epilog=EXIT_CODES)
def pause(name: Name, root: Root = HERE, json: Json = False) -> None:
    """Let a move rest: possible before the switch, and while the way back is kept."""
    _ask(root, name, "pause", json)


@app.command(epilog=EXIT_CODES)
def resume(name: Name, root: Root = HERE, json: Json = False) -> None:
    """Let a paused move go on; one that rests after a failure is tried again at once."""
    _ask(root, name, "resume", json)


@app.command(epilog=EXIT_CODES)
def switch(name: Name, root: Root = HERE, json: Json = False) -> None:
    """Let a move that is held switch, at the next good moment."""
    _ask(root, name, "switch", json)


@app.command(epilog=EXIT_CODES)
def cancel(name: Name, yes: Yes = False, root: Root = HERE, json: Json = False) -> None:
    """Give a move up before it is decided: the tenant stays where it is."""
    _ask(root, name, "cancel", json, None if yes else "Cancel {move}: {tenant} stays in {source}?")


@app.command("confirm", epilog=EXIT_CODES)
def confirm_(name: Name, yes: Yes = False, root: Root = HERE, json: Json = False) -> None:
    """Give the way back up before its time is over: the tenant's rows in the source are removed."""
    _ask(root, name, "confirm", json, None if yes else "Confirm {move}: remove {tenant} from {source}, for good?")


@app.command(epilog=EXIT_CODES)
@spread
def reverse(name: Name, manner: Manner, root: Root = HERE, json: Json = False) -> None:
    """Move a tenant back to where it came from, while the way back is kept."""
    body = manner.body()
    with placement(root) as service:
        _begin(
            service, _path(service, name) + (":previewReverse" if manner.plan else ":reverse"), body, manner, json
        )


def seconds_of(text: str) -> float:
    """`90s`, `30m`, `12h`, `1d`, or seconds alone. Usage."""
    match = _DURATION.match(text)
    if match is None:
        raise Usage(f"{text!r} is no length of time: say 90s, 30m, 12h or 1d")
    return float(match[1]) * UNITS[match[2] or "s"]


def _path(service: Placement, name: str) -> str:
    if re.match(MOVE_ID, name):
        return f"/v1/moves/{quoted(name)}"
    for unfinished in ("true", None):
        if found := service.listed("/v1/moves", "moves", MOST_MOVES, tenant=name, unfinished=unfinished):
            # The latest: one that goes the way back is later than the one that waits for it.
            return f"/v1/moves/{found[-1]['move_id']}"
    raise NotFound(f"no move, and no tenant with one, is called {name}")


def _ask(root: Any, name: str, verb: str, json: bool, question: str | None = None) -> None:
    with placement(root) as service:
        path = _path(service, name)
        if question is not None:
            found = service.call("GET", path)
            confirm(
                question.format(move=found["move_id"], tenant=found["tenant_id"], source=found["source"]),
                yes=False,
            )
        _brief(service.call("POST", f"{path}:{verb}"), json)


def _preview(found: dict[str, Any], json: bool) -> None:
    """Exit code 1 when something is in the way."""
    if json:
        output.as_json(found)
    else:
        from console.previews import draw

        output.draw(draw(found))
    if found["obstacles"]:
        raise typer.Exit(EXIT_REFUSED)


def _begin(service: Placement, path: str, body: dict[str, Any], manner: Manner, json: bool) -> None:
    answer = service.call("POST", path, body)
    if manner.plan:
        _preview(answer, json)
    elif manner.wait:
        _followed(service, answer, seconds_of(manner.timeout), json, until_held=True)
    else:
        _brief(answer, json)
        if not json:
            output.line(f"It goes on by itself. Follow it: cellway moves watch {answer['move_id']}")


def _followed(
    service: Placement, found: dict[str, Any], patience_seconds: float, json: bool, *, until_held: bool
) -> None:
    """Tell each phase as it comes. Refused when the move was given up; Later when it takes too long."""
    follow = Follower(sys.stdout.isatty() and not json, silent=json)
    path = f"/v1/moves/{found['move_id']}"
    while True:
        follow.see(found)
        if _over(found, until_held):
            break
        if follow.seconds > patience_seconds:
            raise Later(f"move {found['move_id']} goes on by itself: cellway moves watch follows it further")
        time.sleep(LOOK_SECONDS)
        try:
            found = service.call("GET", path)
        except (Later, NotRunning):
            # Placement restarts, perhaps; the move does not need it.
            if follow.seconds > patience_seconds:
                raise
    follow.end()
    _print(service, found, json)
    if found["phase"] == "ABORTED":
        why = f": {found['error']}" if found["error"] else ""
        raise Refused(f"move {found['move_id']} was given up, {found['tenant_id']} stayed{why}")


def _over(found: dict[str, Any], until_held: bool) -> bool:
    held = found["phase"] == "READY" and found["options"]["hold"] and found["wish"] != "switch"
    return found["end_time"] is not None or found["phase"] == "REVERSIBLE" or (until_held and held)


class Follower:
    """Prints a line when the phase changes; on a terminal also how far it is, on a line of its own."""

    def __init__(self, live: bool, silent: bool) -> None:
        self._live = live
        self._silent = silent
        self._began = time.monotonic()
        self._seen = ""
        self._width = 0

    @property
    def seconds(self) -> float:
        """How long it has been followed."""
        return time.monotonic() - self._began

    def see(self, found: dict[str, Any]) -> None:
        """The move, as it is now."""
        if self._silent:
            return
        from console.moves import status

        text = f"{self.seconds:8.2f} s  {status(found)}"
        if self._live:
            text = text[: shutil.get_terminal_size().columns - 1]
        seen = f"{found['phase']} {found['paused']} {found['error']}"
        if self._live:
            sys.stdout.write("\r" + text.ljust(self._width))
            self._width = len(text)
            if seen != self._seen:
                sys.stdout.write("\n")
                self._width = 0
            sys.stdout.flush()
        elif seen != self._seen:
            output.line(text)
        if seen != self._seen and found["error"]:
            output.line(f"{'':12}{found['error']}")
        self._seen = seen

    def end(self) -> None:
        """An empty line before what comes of it."""
        if not self._silent:
            output.line("\n" if self._width else "")


def _print(service: Placement, found: dict[str, Any], json: bool) -> None:
    events = service.listed(f"/v1/moves/{found['move_id']}/events", "events", 10_000)
    if json:
        output.as_json({**found, "events": events})
        return
    from console.moves import draw

    output.draw(draw(found, events))


def _brief(found: dict[str, Any], json: bool) -> None:
    if json:
        output.as_json(found)
        return
    output.facts(
        {
            "move": found["move_id"],
            "tenant": f"{found['tenant_id']}, {found['source']} → {found['destination']}",
            "phase": f"{found['phase']}{', paused' if found['paused'] else ''}",
            "next action": found["next_action"],
        }
    )


def _row(found: dict[str, Any]) -> tuple[Any, ...]:
    from console.moves import phase_style, progress
    from console.steps import moment

    return (
        found["move_id"],
        found["tenant_id"],
        found["source"],
        found["destination"],
        output.coloured(f"{found['phase']}{' (paused)' if found['paused'] else ''}", phase_style(found)),
        progress(found) or None,
        moment(found["create_time"]),
        found["error"] or found["next_action"],
    )
