"""`cellway certificates`."""

import re
from pathlib import Path
from typing import Annotated

import typer

from console import output
from console.commands.options import Json
from console.errors import EXIT_CODES, Refused, Usage

_HOST = re.compile(r"[A-Za-z0-9_:](?:[A-Za-z0-9_.:-]{0,251}[A-Za-z0-9_:])?\Z")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=EXIT_CODES)(certificates)


def certificates(
    folder: Annotated[Path, typer.Argument(help="Where the authority is, or is made.", metavar="FOLDER")],
    cell: Annotated[
        list[str] | None,
        typer.Option(
            help="A cell, by its name; once for each. NAME=HOST,HOST also for clients that go by its hosts, "
            "such as Prometheus."
        ),
    ] = None,
    program: Annotated[
        list[str] | None,
        typer.Option(help="Who calls cells; router, placement and prometheus unless you say otherwise."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long certificates are good.")] = 397,
    renew: Annotated[bool, typer.Option("--renew", help="Make those anew that are there, with new keys.")] = False,
    json: Json = False,
) -> None:
    """Make an authority, and certificates by which cells and their callers know each other (TLS).

    What is there is kept, so that a cell can be added later. Needs openssl.
    """
    from console.certificates import PROGRAMS, CertificatesFailed, Maker

    cells = dict(_named(each) for each in cell or ())
    programs = tuple(program or PROGRAMS)
    _check(tuple(cells), programs)
    try:
        maker = Maker(folder)
        made = [maker.authority()]
        made += [maker.cell(name, hosts, days=days, renew=renew) for name, hosts in cells.items()]
        made += [maker.program(name, days=days, renew=renew) for name in programs]
    except (CertificatesFailed, OSError) as error:
        raise Refused(str(error)) from error
    if json:
        shown = [
            {"name": m.name, "folder": str(m.folder), "until": m.until.isoformat(), "new": m.is_new} for m in made
        ]
        output.as_json({"certificates": shown})
        return
    rows = [(m.name, m.folder, m.until.date().isoformat(), "made" if m.is_new else "kept") for m in made]
    output.table(("FOR", "FOLDER", "UNTIL", ""), rows)
    output.line()
    output.line(f"Keep {maker.folder / 'ca.key'} away from all programs: whoever has it can be anybody.")
    output.line(
        "CELLWAY_CELL_TLS_FOLDER, CELLWAY_ROUTER_CELL_TLS_FOLDER and CELLWAY_PLACEMENT_CELL_TLS_FOLDER name the"
    )
    output.line("folders of cells, routers and placement: docs/operations/tls.md")


def _named(text: str) -> tuple[str, tuple[str, ...]]:
    name, _, hosts = text.partition("=")
    found = tuple(host.strip() for host in hosts.split(",") if host.strip())
    if wrong := [host for host in found if _HOST.match(host) is None]:
        raise Usage(f"{wrong[0]!r} is no host name or address")
    return name, found


def _check(cells: tuple[str, ...], programs: tuple[str, ...]) -> None:
    from directory.rules.names import is_name

    for name in (*cells, *programs):
        if not is_name(name):
            raise Usage(f"{name!r} is no name: it has 2 to 40 lower-case letters, digits and inner dashes")
    if both := set(cells) & set(programs):
        raise Usage(f"{min(both)} cannot be both a cell and a program here: name the programs by --program")
