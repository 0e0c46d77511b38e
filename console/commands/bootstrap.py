"""`cellway bootstrap …`: roles and databases on one's own Postgres, and the environment of the programs."""

import asyncio
import os
import re
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlsplit

import typer

from console import output
from console.commands.options import Json
from console.errors import EXIT_CODES, NotRunning, Refused, Usage

app = typer.Typer(
    help="Prepare one's own Postgres: roles, a database, and the lines for the programs' environment.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
)
AdminDsn = Annotated[
    str,
    typer.Option(
        envvar="CELLWAY_ADMIN_DSN", help="postgresql://admin:password@host:5432/postgres", show_envvar=True
    ),
]
RedisUrl = Annotated[str, typer.Option(help="redis://host:6379/0, with maxmemory-policy noeviction.")]
NewPasswords = Annotated[
    bool, typer.Option("--new-passwords", help="The roles exist: give them new passwords all the same.")
]
REACH_SECONDS = 5.0
CONTROL_KEY, KEY_PEPPER, PAGE_KEY = (
    "CELLWAY_PLACEMENT_CONTROL_KEY",
    "CELLWAY_CELL_KEY_PEPPER",
    "CELLWAY_CELL_PAGE_KEY",
)


@app.command(epilog=EXIT_CODES)
def control(
    admin_dsn: AdminDsn,
    redis_url: RedisUrl = "redis://127.0.0.1:6379/0",
    database: Annotated[str, typer.Option(help="The database's name.")] = "directory",
    new_passwords: NewPasswords = False,
    json: Json = False,
) -> None:
    """Create the directory's database and roles; print what placement, routers and cells are to be told.

    The output holds secrets, shown this once: put it where secrets are kept.
    """
    roles = _passwords("directory_owner", "directory_writer", "directory_mover")
    _create(admin_dsn, database, "directory_owner", roles, new_passwords)
    page_key = secrets.token_hex(32)
    _print(
        {
            "placement": {
                "CELLWAY_PLACEMENT_DIRECTORY_DSN": _dsn(admin_dsn, database, "directory_writer", roles),
                "CELLWAY_PLACEMENT_DIRECTORY_OWNER_DSN": _dsn(admin_dsn, database, "directory_owner", roles),
                "CELLWAY_PLACEMENT_DIRECTORY_REDIS_URL": redis_url,
                "CELLWAY_PLACEMENT_OPERATOR_TOKENS": f"op_{secrets.token_urlsafe(32)}",
                CONTROL_KEY: secrets.token_hex(32),
                "CELLWAY_PLACEMENT_PAGE_KEY": page_key,
            },
            "migration": {
                "CELLWAY_MIGRATION_DIRECTORY_DSN": _dsn(admin_dsn, database, "directory_mover", roles),
            },
            "routers": {"CELLWAY_ROUTER_DIRECTORY_REDIS_URL": redis_url},
            "all cells": {KEY_PEPPER: secrets.token_hex(32), PAGE_KEY: page_key},
        },
        json,
    )


@app.command(epilog=EXIT_CODES)
def cell(
    cell_id: Annotated[str, typer.Argument(help="The cell's name.", metavar="CELL")],
    admin_dsn: AdminDsn,
    redis_url: RedisUrl = "redis://127.0.0.1:6379/0",
    region: Annotated[str, typer.Option(help="The region that it is in.")] = "local",
    database: Annotated[str, typer.Option(help="The database's name.")] = "cell",
    new_passwords: NewPasswords = False,
    json: Json = False,
) -> None:
    """Create a cell's database and roles; print what its API and worker are to be told.

    Needs the fleet's secrets, as `bootstrap control` printed them, in the environment:
    CELLWAY_PLACEMENT_CONTROL_KEY, CELLWAY_CELL_KEY_PEPPER and CELLWAY_CELL_PAGE_KEY.
    """
    from directory.control.token import control_token
    from directory.fence import MOVER_ROLES
    from directory.rules.names import is_name

    if not is_name(cell_id):
        raise Usage("a cell's name has 2 to 40 lower-case letters, digits and inner dashes")
    fleet = {name: os.environ.get(name, "") for name in (CONTROL_KEY, KEY_PEPPER, PAGE_KEY)}
    missing = [name for name, value in fleet.items() if not value]
    if missing:
        raise Usage(f"set {', '.join(missing)} in the environment, as `cellway bootstrap control` printed it")
    roles = _passwords("cell_owner", "cell_app", "cell_control", "cell_relay", *MOVER_ROLES)
    _create(admin_dsn, database, "cell_owner", roles, new_passwords)
    dsns = {
        f"CELLWAY_CELL_{role.removeprefix('cell_').upper()}_DSN": _dsn(admin_dsn, database, role, roles)
        for role in roles
        if role not in MOVER_ROLES
    }
    _print(
        {
            # Movers have a folder with a file for each cell, called as the cell, that holds this.
            "movers": {"MOVER_DSN": _dsn(admin_dsn, database, MOVER_ROLES[0], roles)},
            cell_id: {
                "CELLWAY_CELL_CELL_ID": cell_id,
                "CELLWAY_CELL_REGION": region,
                **dsns,
                "CELLWAY_CELL_REDIS_URL": redis_url,
                "CELLWAY_CELL_CONTROL_TOKEN": control_token(fleet[CONTROL_KEY], cell_id),
                KEY_PEPPER: fleet[KEY_PEPPER],
                PAGE_KEY: fleet[PAGE_KEY],
            },
        },
        json,
    )


@app.command(epilog=EXIT_CODES)
def operator(
    name: Annotated[str, typer.Argument(help="Who gets it: 1 to 40 of a-z, 0-9, dot, dash, underscore.")],
    role: Annotated[str, typer.Option(help="viewer, operator or admin.")] = "viewer",
    json: Json = False,
) -> None:
    """Make an operator token: print the entry that placement's list of tokens gets, and the token for its person.

    The output is a secret, shown this once. Nothing is called, and nothing is changed.
    """
    if role not in ("viewer", "operator", "admin"):
        raise Usage("a role is viewer, operator or admin")
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,39}", name) is None:
        raise Usage("a name has 1 to 40 lower-case letters, digits, dots, dashes and underscores")
    token = f"op_{secrets.token_urlsafe(32)}"
    told = {
        "one more in placement's list": {"CELLWAY_PLACEMENT_OPERATOR_TOKENS": f"{role}:{name}:{token}"},
        name: {"CELLWAY_OPERATOR_TOKEN": token},
    }
    _print(told, json)


@app.command(epilog=EXIT_CODES)
def steward(
    cell_id: Annotated[str, typer.Argument(help="The cell's name.", metavar="CELL")],
    cells_path: Annotated[
        Path,
        typer.Option(
            envvar="CELLWAY_MIGRATION_CELLS_PATH", help="Where `cellway adopt` wrote what movers are to know."
        ),
    ],
    region: Annotated[str, typer.Option(help="The region that it is in.")] = "local",
    json: Json = False,
) -> None:
    """Print what the steward of an adopted database is to be told. Needs CELLWAY_PLACEMENT_CONTROL_KEY."""
    from directory.control.token import control_token
    from directory.rules.names import is_name

    if not is_name(cell_id):
        raise Usage("a cell's name has 2 to 40 lower-case letters, digits and inner dashes")
    if not (key := os.environ.get(CONTROL_KEY, "")):
        raise Usage(f"set {CONTROL_KEY} in the environment, as `cellway bootstrap control` printed it")
    try:
        dsn = (cells_path / cell_id).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Usage(
            f"{cells_path / cell_id} cannot be read ({error.strerror}): adopt its database first"
        ) from error
    told = {
        "CELL_ID": cell_id,
        "REGION": region,
        "DATABASE_DSN": dsn,
        "CONTROL_TOKEN": control_token(key, cell_id),
    }
    _print({cell_id: {f"CELLWAY_STEWARD_{name}": value for name, value in told.items()}}, json)


@app.command(epilog=EXIT_CODES)
def roles(
    files: Annotated[
        list[Path],
        typer.Argument(help="Files with postgresql://role:password@host:5432/database, of one database."),
    ],
    admin_dsn: AdminDsn,
    admin_password: Annotated[
        Path | None,
        typer.Option(
            "--admin-password-file",
            envvar="CELLWAY_ADMIN_PASSWORD_FILE",
            help="A file with the administrator's password; then none is in the DSN.",
            show_envvar=True,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Create the roles and the database that programs are told of in files, or give them these passwords.

    For containers, whose secrets are files (`cellway secrets`). Running it again is harmless.
    """
    from console.stack import roles as stack

    wanted = stack.told(files)
    dsn = admin_dsn if admin_password is None else stack.with_password(admin_dsn, stack.text_of(admin_password))
    if urlsplit(dsn).scheme not in ("postgresql", "postgres"):
        raise Usage("the administrator's DSN looks like postgresql://admin:password@host:5432/postgres")
    asyncio.run(stack.make(dsn, wanted))
    if json:
        output.as_json({"database": wanted.database, "owner": wanted.owner, "roles": list(wanted.passwords)})
    else:
        output.line(f"{wanted.database}: {', '.join(wanted.passwords)}")


@app.command(epilog=EXIT_CODES)
def consul(
    tokens: Annotated[
        list[str], typer.Argument(help="WHO=FILE: placement, router, mover, cell, agent or watch, and its token.")
    ],
    url: Annotated[str, typer.Option(help="One of Consul's servers, such as http://consul-1:8500.")],
    management_token: Annotated[
        Path,
        typer.Option(
            "--management-token-file",
            envvar="CELLWAY_CONSUL_TOKEN_FILE",
            help="A file with a token that may manage access.",
            show_envvar=True,
        ),
    ],
    json: Json = False,
) -> None:
    """Tell a Consul what each token may do: no more than its program needs. Running it again is harmless."""
    from console.calls import Service
    from console.stack.access import POLICIES, Token, settle
    from console.stack.roles import text_of
    from console.whereabouts import Target

    wanted = []
    for told in tokens:
        who, _, path = told.partition("=")
        if who not in POLICIES or not path:
            raise Usage(f"{told!r}: WHO=FILE, of {', '.join(sorted(POLICIES))}")
        wanted.append(Token(who, text_of(Path(path))))
    with Service(Target(url, f"no Consul answers at {url}", text_of(management_token))) as service:
        settle(service, wanted)
    if json:
        output.as_json({"tokens": [token.who for token in wanted]})
    else:
        output.line(f"{len(wanted)} tokens: {', '.join(sorted({token.who for token in wanted}))}")


def _passwords(*roles: str) -> dict[str, str]:
    return {role: secrets.token_hex(24) for role in roles}


def _create(admin_dsn: str, database: str, owner: str, roles: Mapping[str, str], new_passwords: bool) -> None:
    from runtime.errors import StartFailed

    if urlsplit(admin_dsn).scheme not in ("postgresql", "postgres"):
        raise Usage("the administrator's DSN looks like postgresql://admin:password@host:5432/postgres")
    try:
        asyncio.run(_bootstrapped(admin_dsn, database, owner, roles, new_passwords))
    except StartFailed as error:
        raise NotRunning(str(error)) from error
    except ValueError as error:
        raise Usage(f"the administrator's DSN cannot be read: {error}") from error


async def _bootstrapped(
    admin_dsn: str, database: str, owner: str, roles: Mapping[str, str], new_passwords: bool
) -> None:
    import asyncpg

    from directory.fence import MOVER_ROLES
    from runtime import database as postgres

    connection = await postgres.reach(admin_dsn, deadline_seconds=REACH_SECONDS)
    try:
        there = await connection.fetch("SELECT rolname FROM pg_roles WHERE rolname = ANY($1::text[])", list(roles))
    finally:
        await connection.close()
    if there and not new_passwords:
        names = ", ".join(sorted(row["rolname"] for row in there))
        raise Refused(
            f"{names} exist there already: programs use their passwords; --new-passwords gives them new ones"
        )
    try:
        await postgres.bootstrap(
            admin_dsn,
            database=database,
            owner=owner,
            roles=roles,
            replicating=[r for r in roles if r in MOVER_ROLES],
        )
    except asyncpg.PostgresError as error:
        raise Refused(f"Postgres at {postgres.address(admin_dsn)} refuses: {error}") from error


def _dsn(admin_dsn: str, database: str, role: str, roles: Mapping[str, str]) -> str:
    parts = urlsplit(admin_dsn)
    query = f"?{parts.query}" if parts.query else ""
    return f"postgresql://{role}:{quote(roles[role])}@{parts.netloc.rpartition('@')[2]}/{quote(database)}{query}"


def _print(lines: Mapping[str, Mapping[str, str]], json: bool) -> None:
    if json:
        output.as_json(lines)
        return
    for program, settings in lines.items():
        output.line(f"# {program}")
        for name, value in settings.items():
            output.line(f"{name}={shlex.quote(value)}")
