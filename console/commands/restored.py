"""`cellway restored …`: what is done with a database that was restored, before programs use it again."""

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from console import output
from console.commands.options import Cell, Json, Yes, confirm
from console.errors import EXIT_CODES, Later, NotFound, NotRunning, Refused, Usage

app = typer.Typer(
    help="Bring a database that was restored from a backup up to date, before programs use it again.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
)
NAMED = 20
SAYS = {
    "moved": "live elsewhere, or at a later epoch, than the backup says: entered as their cells say",
    "unknown": "were created after the backup: entered as their cells say",
    "opened": "were between two cells: entered where their rows are, and opened there by placement",
    "gone": "were deleted after the backup: marked as deleted",
    "waits": "were never opened by their cells: placement goes on with that",
    "lost": "are in no cell's database: was one restored as well? They stay as the backup says",
    "torn": "are open in several cells, and stay as the backup says: close all but one by hand first",
}
ResultT = TypeVar("ResultT")


@app.command(epilog=EXIT_CODES)
def cell(
    cell: Cell,
    owner_dsn: Annotated[
        str, typer.Option(envvar="CELLWAY_CELL_OWNER_DSN", help="The restored database, as role cell_owner.")
    ],
    directory_dsn: Annotated[
        str,
        typer.Option(
            envvar="CELLWAY_PLACEMENT_DIRECTORY_DSN", help="The control database, as role directory_writer."
        ),
    ],
    begin_empty: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TENANT", help="Of whom there is nothing: let it begin with nothing; may be said again."
        ),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Close every fence of a cell's restored database, and have those opened anew who live there by now.

    Its API and workers are stopped, and movers do not know its address. Doing it again is harmless.
    """
    from directory.restored.cell import settle

    confirm(f"Close all fences of {cell}, of which the database was restored?", yes)
    found = _done(settle(owner_dsn, directory_dsn, cell, begin_empty or ()))
    told = {
        "cell_id": cell,
        "renewed": found.renewed,
        "missing": list(found.missing),
        "strangers": list(found.strangers),
        "moves": [
            {"move_id": move.move_id, "tenant_id": move.tenant_id, "phase": move.phase} for move in found.moves
        ],
    }
    if json:
        output.as_json(told)
        return
    output.facts(
        {
            "cell": cell,
            "live there": f"{found.renewed}, with their rows of the backup: opened as soon as the cell answers",
            "missing": _named(found.missing, "live there, and the backup has no whole copy of theirs: shut"),
            "strangers": _named(found.strangers, "live elsewhere or nowhere, and have rows in the backup: shut"),
            "moves": _named(
                [move.move_id for move in found.moves], "have not ended; those that had not switched are cancelled"
            ),
        }
    )


@app.command(epilog=EXIT_CODES)
def control(
    owner_dsn: Annotated[
        str,
        typer.Option(
            envvar="CELLWAY_PLACEMENT_DIRECTORY_OWNER_DSN",
            help="The restored control database, as role directory_owner.",
        ),
    ],
    cells_path: Annotated[
        Path,
        typer.Option(
            envvar="CELLWAY_MIGRATION_CELLS_PATH",
            help="The movers' folder: the database of each cell, by its name.",
        ),
    ],
    apply: Annotated[bool, typer.Option("--apply", help="Do it; otherwise it is only said.")] = False,
    json: Json = False,
) -> None:
    """Bring a restored control database to what the cells know: epochs, assignments, decisions.

    Placement and movers are stopped; cells and routers go on.
    """
    from directory.restored.control import settle

    found = _done(settle(owner_dsn, _cells(cells_path), _read_tenants, apply=apply))
    by_verdict = {
        verdict: [each.tenant_id for each in found.judged if each.verdict == verdict] for verdict in SAYS
    }
    if json:
        output.as_json(
            {
                "applied": apply,
                "tenants": found.tenants,
                "epoch": found.epoch,
                "moves_ended": found.moves,
                "plans_stopped": found.plans,
                "decisions": list(found.decisions),
                **by_verdict,
            }
        )
        return
    output.facts(
        {
            "tenants": f"{found.tenants} in the backup",
            "latest epoch": f"{found.epoch}: the next one is far above it",
            **{verdict: _named(names, SAYS[verdict]) for verdict, names in by_verdict.items() if names},
            "decisions": _named(found.decisions, "were suspended, resumed or changed since: as their cells say"),
            "moves": f"{found.moves} are ended as they are",
            "plans": f"{found.plans} are stopped",
        }
    )
    if apply:
        output.line("\nDone. Start placement and movers, and each router without its snapshot file.")
    else:
        output.line("\nNothing was changed: --apply does it.")


def _named(names: Sequence[str], says: str) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} {says}: {', '.join(names[:NAMED])}{more}"


def _cells(folder: Path) -> dict[str, str]:
    from directory.rules.names import is_name

    try:
        return {path.name: path.read_text("utf-8").strip() for path in folder.iterdir() if is_name(path.name)}
    except OSError as error:
        raise Usage(f"the movers' folder {folder} cannot be read: {error.strerror}") from error


async def _read_tenants(connection: Any) -> Sequence[Any]:
    from directory.restored.control import TenantThere
    from runtime.queries import Queries

    queries = Queries("console")
    if not await connection.fetchval(queries["is_ours"]):
        return []
    return [TenantThere(**row) for row in await connection.fetch(queries["tenants_of_cell"])]


def _done(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """What came of it, or one sentence."""
    import asyncpg

    from directory import errors
    from runtime.errors import StartFailed

    try:
        return asyncio.run(work)
    except errors.NotFound as error:
        raise NotFound(str(error)) from error
    except (errors.Unavailable, errors.Stale) as error:
        raise Later(f"{error}: do it again") from error
    except errors.DirectoryError as error:
        raise Refused(str(error)) from error
    except StartFailed as error:
        raise NotRunning(str(error)) from error
    except asyncpg.PostgresError as error:
        raise Refused(f"Postgres refuses: {error}") from error
    except (OSError, TimeoutError) as error:
        raise NotRunning(f"a database does not answer: {type(error).__name__}") from error
    except ValueError as error:
        raise Usage(f"an address cannot be read: {error}") from error
