"""`cellway router …`"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from console.commands.options import HERE, Json, Root
from console.errors import EXIT_CODES
from console.whereabouts import Whereabouts

app = typer.Typer(
    help="Routers as they run, and proxies of other makes that know what they know.", no_args_is_help=True
)
export_app = typer.Typer(help="Let another proxy forward, by our table.", no_args_is_help=True)
app.add_typer(export_app, name="export")

Output = Annotated[Path, typer.Option("--output", help="The folder to write to; made when it is not there.")]
Listen = Annotated[
    str | None,
    typer.Option("--listen", metavar="ADDR:PORT", help="Otherwise CELLWAY_ROUTER_HOST and CELLWAY_ROUTER_PORT."),
]
Follow = Annotated[
    bool,
    typer.Option("--follow", help="Go on, and keep the files and a running HAProxy current, without reloads."),
]
Certificate = Annotated[
    Path | None, typer.Option("--certificate", help="Speak TLS: a PEM file with the certificate and its key.")
]
Lua = Annotated[
    bool | None,
    typer.Option("--lua/--no-lua", help="Try a 421 again by a script; otherwise when HAProxy here can."),
]
Once = Annotated[bool, typer.Option("--once", help="Print one picture and end, as without a terminal.")]
Every = Annotated[
    float, typer.Option("--every", min=0.2, max=3600.0, metavar="SECONDS", help="Between two looks.")
]


@app.command(epilog=EXIT_CODES)
def top(once: Once = False, every: Every = 1.0, root: Root = HERE, json: Json = False) -> None:
    """Show all routers that run: requests, latency, cells in trouble, held tenants, the busiest; until Ctrl-C.

    They are found in the registry; CELLWAY_ROUTER_ADMIN_URL names a single one instead. --json prints it once.
    """
    from console.top.watch import watch

    watch(Whereabouts(root), every, once=once, json=json)


@export_app.command(epilog=EXIT_CODES)
def haproxy(
    output: Output,
    listen: Listen = None,
    follow: Follow = False,
    certificate: Certificate = None,
    lua: Lua = None,
    json: Json = False,
) -> None:
    """Write a whole configuration for HAProxy 2.6 or newer: haproxy -f OUTPUT/haproxy.cfg.

    The settings are the router's own, CELLWAY_ROUTER_…; docs/haproxy.md says how to run it, and what is lost.
    """
    options = ["haproxy", "--output", str(output)]
    options += ["--listen", listen] if listen is not None else []
    options += ["--certificate", str(certificate)] if certificate is not None else []
    options += ["--follow"] if follow else []
    options += ["--json"] if json else []
    if lua is not None:
        options.append("--lua" if lua else "--no-lua")
    # The router's program takes this one's place: signals and the exit code are its own.
    os.execv(sys.executable, [sys.executable, "-m", "router.export", *options])  # noqa: S606 our own program
