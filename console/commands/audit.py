"""`cellway audit`, `cellway whoami`"""

import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from console import output
from console.calls import CALL_SECONDS, Placement
from console.commands.options import HERE, Json, Limit, Root, placement, spread
from console.errors import EXIT_CODES, Later, NotRunning, Usage

LOOK_SECONDS = 1.0
OVERLAP = timedelta(seconds=15)
"""Entries appear a little later than they are numbered: so far back each look begins."""
PATIENCE_SECONDS = 120.0
"""How long a placement that is away is waited for while the log is followed."""
MOST_AT_ONCE = 10_000
COLUMNS = ("WHEN", "WHO", "ROLE", "WHAT", "ABOUT", "OUTCOME")
_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Which:
    """Options that say which decisions."""

    actor: Annotated[str | None, typer.Option(help="Only what they decided; placement: of its own accord.")] = None
    action: Annotated[str | None, typer.Option(help="Only this operation, such as suspendTenant.")] = None
    target: Annotated[str | None, typer.Option(help="Only about this: acme, or tenant/acme.")] = None
    since: Annotated[str | None, typer.Option(help="2030-01-31T08:00:00Z, or 90m, 2h, 7d ago.")] = None
    until: Annotated[str | None, typer.Option(help="The same; not included.")] = None

    def filters(self) -> dict[str, str | None]:
        """As placement is asked. Usage."""
        times = {"since": _moment("--since", self.since), "until": _moment("--until", self.until)}
        return {"actor": self.actor, "action": self.action, "target": self.target, **times}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=EXIT_CODES)(spread(audit))
    app.command(epilog=EXIT_CODES)(whoami)


def whoami(root: Root = HERE, json: Json = False) -> None:
    """Show whose the operator token is, and its role."""
    with placement(root) as service:
        found = service.call("GET", "/v1/whoami")
    if json:
        output.as_json(found)
    else:
        output.line(f"{found['name']}, {found['role']}")


def audit(
    which: Which,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes, the oldest first.")
    ] = False,
    limit: Limit = 100,
    root: Root = HERE,
    json: Json = False,
) -> None:
    """Show who decided what, the newest first; with --follow --json one document a line."""
    filters = which.filters()
    if follow and which.until is not None:
        raise Usage("--follow has no end: leave --until out")
    with placement(root) as service:
        found = service.listed("/v1/audit", "entries", limit, seconds=CALL_SECONDS, **filters)
        if follow:
            _follow(service, found, filters, json)
    if json:
        output.as_json(found)
    elif found:
        output.table(COLUMNS, [_row(one) for one in found])
    else:
        output.line("Nothing like that was decided, or it is forgotten by now.")


def _follow(service: Placement, found: list[dict[str, Any]], filters: dict[str, str | None], json: bool) -> None:
    """Until it is interrupted."""
    for one in _coming(service, found, filters):
        if json:
            import json as documents

            output.line(documents.dumps(one))
        else:
            when, who, role, what, about, outcome = _row(one)
            output.line(f"{when}  {who} ({role})  {what}  {about}  {outcome}")
        sys.stdout.flush()


def _coming(
    service: Placement, found: list[dict[str, Any]], filters: dict[str, str | None]
) -> Iterator[dict[str, Any]]:
    """Each once, and once more when its end is known."""
    seen: set[int] = set()
    first = min((one["number"] for one in found), default=0)
    answered = time.monotonic()
    while True:
        yield from (one for one in reversed(found) if one["number"] not in seen and one["number"] >= first)
        if found:
            seen = {one["number"] for one in found}
            newest = max(_time(one["end_time"] or one["begin_time"]) for one in found)
            filters = {**filters, "since": _told(newest - OVERLAP)}
        time.sleep(LOOK_SECONDS)
        try:
            found = service.listed("/v1/audit", "entries", MOST_AT_ONCE, seconds=CALL_SECONDS, **filters)
            answered = time.monotonic()
        except (Later, NotRunning):
            found = []
            if time.monotonic() - answered > PATIENCE_SECONDS:
                raise


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    from console.steps import moment

    return (
        moment(one["begin_time"]),
        one["actor"],
        one["role"],
        one["action"],
        ", ".join(one["targets"]),
        one["outcome"] or "not known",
    )


def _moment(option: str, text: str | None) -> str | None:
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        try:
            return _told(datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
        except OverflowError:
            raise Usage(f"{option}: nothing is that old") from None
    try:
        return _told(_time(text))
    except (ValueError, OverflowError):
        raise Usage(f"{option} looks like 2030-01-31T08:00:00Z, or like 90m, 2h, 7d") from None


def _time(text: str) -> datetime:
    """A time without a zone is UTC, as all that is shown."""
    time_ = datetime.fromisoformat(text)
    return (time_ if time_.tzinfo else time_.replace(tzinfo=UTC)).astimezone(UTC)


def _told(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
