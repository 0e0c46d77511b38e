"""`cellway up` and `cellway clean`."""

import asyncio
import os
import shutil
from typing import Annotated

import typer

from console import output
from console.commands.options import HERE, Json, Root, Yes, confirm
from console.errors import EXIT_CODES, Usage

Port = Annotated[int | None, typer.Option(min=0, max=65535, help="0: the system chooses.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=EXIT_CODES)(up)
    app.command(epilog=EXIT_CODES)(clean)


def up(
    cells: Annotated[
        int | None, typer.Option(envvar="CELLS", min=1, max=1000, help="Otherwise as many as there are, or three.")
    ] = None,
    router_port: Port = None,
    placement_port: Port = None,
    router_admin_port: Port = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Cells speak TLS with router and placement. Needs openssl.")
    ] = False,
    root: Root = HERE,
) -> None:
    """Start the whole platform on embedded servers, and show it until Ctrl-C, which stops everything.

    Further settings are read from CELLWAY_UP_…: REGION, CAPACITY_TENANTS, TLS, and for servers of one's own
    CONTROL_POSTGRES, DIRECTORY_REDIS and CONSUL.
    """
    from console.platform.settings import UpSettings
    from console.platform.up import up as run_up
    from runtime.errors import SettingsError

    told = {"ROUTER_PORT": router_port, "PLACEMENT_PORT": placement_port, "ROUTER_ADMIN_PORT": router_admin_port}
    options = {f"{UpSettings.env_prefix}{name}": str(port) for name, port in told.items() if port is not None}
    if tls:
        options[f"{UpSettings.env_prefix}TLS"] = "true"
    try:
        settings = UpSettings.load({**os.environ, **options})
    except SettingsError as error:
        raise Usage(str(error)) from error
    raise typer.Exit(asyncio.run(run_up(root, cells, settings)))


def clean(yes: Yes = False, root: Root = HERE, json: Json = False) -> None:
    """Remove the folder of a platform that is stopped, with all its data."""
    from console.platform.layout import Layout

    layout = Layout(root)
    there = layout.root.is_dir()
    if there:
        if not any((layout.root / name).exists() for name in ("platform.json", "lock", "secrets.json")):
            raise Usage(f"{layout.root} is no folder of a platform: it is left alone")
        confirm(f"Remove {layout.root} and all its data, for good?", yes)
        with layout.lock():
            shutil.rmtree(layout.root)
    if json:
        output.as_json({"root": str(layout.root), "removed": there})
    else:
        output.line(f"{layout.root} is removed." if there else f"There is no {layout.root}: nothing to remove.")
