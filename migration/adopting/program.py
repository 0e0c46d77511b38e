"""One run: look, think, and do what was asked for."""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg

from directory.rules.names import is_name
from migration.adopting import inspecting, removing, report
from migration.adopting.applying import Adoption
from migration.adopting.errors import Later, Refused, Unreachable, Usage
from migration.adopting.inspecting import LOOK_SECONDS
from migration.adopting.rules import deeds
from migration.adopting.rules.findings import findings, standings
from migration.adopting.rules.found import Database
from runtime.database import BUSY, CONNECT_SECONDS, RELEASE_SECONDS, UNREACHABLE, Connection, address

PINNED: Mapping[str, str] = {
    "search_path": "pg_catalog",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "application_name": "cellway-adopt",
    "idle_in_transaction_session_timeout": "60000",
    "statement_timeout": str(int(LOOK_SECONDS * 1000)),
    "lock_timeout": "5000",
}

COMMAND_SECONDS = LOOK_SECONDS * 1.2
"""After which the server is taken to be gone: it would have ended a statement before."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    dsn: str = field(repr=False)
    tenant_column: str = "tenant_id"
    columns: Mapping[str, str] = field(default_factory=dict)
    left: Sequence[str] = ()
    mover: str = "cell_mover"
    epochs: Mapping[str, int] = field(default_factory=dict)
    cell_id: str = ""
    cells_path: Path | None = None
    apply: bool = False
    remove: bool = False
    force: bool = False
    new_password: bool = False


async def run(order: Order) -> dict[str, Any]:
    """The report. Usage; Unreachable; Refused; Later."""
    _check(order)
    async with _connected(order.dsn) as connection:
        found = await inspecting.inspect(connection, order.mover)
        if order.remove:
            return await _remove(connection, order, found)
        return await _adopt(connection, order, found)


def _check(order: Order) -> None:
    if order.apply and order.remove:
        raise Usage("say --apply or --remove")
    if order.new_password and not order.apply:
        raise Usage("--new-password goes with --apply alone")
    if order.force and not order.remove:
        raise Usage("--force goes with --remove alone")
    if order.cell_id and not is_name(order.cell_id):
        raise Usage("a cell's name has 2 to 40 lower-case letters, digits and inner dashes")
    if any(not name for name in order.epochs):
        raise Usage("a tenant's name is not empty")
    if order.cells_path is not None and not order.cell_id:
        raise Usage("say --cell: the movers' file is called as the cell")
    try:
        scheme = urlsplit(order.dsn).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("postgresql", "postgres"):
        raise Usage("the DSN looks like postgresql://role:password@host:5432/database")


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Connection]:
    where = address(dsn)
    try:
        connection = await asyncpg.connect(
            dsn, timeout=CONNECT_SECONDS, command_timeout=COMMAND_SECONDS, server_settings=dict(PINNED)
        )
    except ValueError as error:
        raise Usage("the DSN cannot be read") from error
    except UNREACHABLE as error:
        said = str(error) if isinstance(error, asyncpg.PostgresError) else type(error).__name__
        raise Unreachable(f"Postgres at {where} does not answer: {said}") from error
    except asyncpg.PostgresError as error:
        raise Unreachable(f"Postgres at {where} refuses: {error}") from error
    try:
        yield connection
    except UNREACHABLE as error:
        raise Unreachable(
            f"Postgres at {where} broke off ({type(error).__name__}): the same again goes on"
        ) from error
    except BUSY as error:
        raise Later(f"Postgres at {where}: {error}") from error
    except asyncpg.PostgresError as error:
        raise Refused(f"Postgres at {where} refuses ({error.sqlstate}): {error}") from error
    finally:
        try:
            await connection.close(timeout=RELEASE_SECONDS)
        except (*UNREACHABLE, asyncpg.PostgresError):
            connection.terminate()


async def _adopt(connection: Connection, order: Order, found: Database) -> dict[str, Any]:
    wishes = replace(
        inspecting.resolved(found, order.tenant_column, order.columns, list(order.left)),
        mover=order.mover, epochs=order.epochs,
    )  # fmt: skip
    places = standings(found, wishes)
    seen = await inspecting.look(connection, found, places)
    said = findings(found, seen, places, wishes)
    if order.new_password and found.mover is not None and not found.mover.made:
        raise Refused(f"role {order.mover} was made by somebody else, who knows its password")
    todo = deeds.adopting(found, places, order.mover, new_password=order.new_password)
    names = {name for relation in todo.fresh for name in seen.tenants.get(relation, ())}
    tenants = {name: order.epochs.get(name, 1) for name in sorted(names)}
    where = address(order.dsn)
    document = report.as_json(where, found, seen, places, said, todo, tenants, order.mover)
    if not order.apply or not document["ready"]:
        return document
    told = _Told(order)
    done = await Adoption(connection, found, places, todo, order.mover, tenants).apply(told.keep)
    return {**document, "adopted": True, "done": list(done.steps), "mover": told.as_json()}


class _Told:
    """Where a mover looks for this database. A password that was made is written there, or told this once."""

    def __init__(self, order: Order) -> None:
        self._order = order
        name = order.cell_id or "<cell>"
        self._path = None if order.cells_path is None else order.cells_path / name
        self._place = str(self._path or f"$CELLWAY_MIGRATION_CELLS_PATH/{name}")
        self._dsn: str | None = None
        self._written = False

    def keep(self, password: str) -> None:
        """Refused: it cannot be written."""
        parts = urlsplit(self._order.dsn)
        netloc = f"{quote(self._order.mover, safe='')}:{password}@{parts.netloc.rpartition('@')[2]}"
        dsn = parts._replace(netloc=netloc).geturl()
        if self._path is None:
            self._dsn = dsn
            return
        try:
            _write_private(self._path, dsn)
        except OSError as error:
            raise Refused(f"{self._path} cannot be written: {error.strerror}") from error
        self._written = True

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {"role": self._order.mover, "file": self._place, "written": self._written, "dsn": self._dsn}


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text + "\n")


async def _remove(connection: Connection, order: Order, found: Database) -> dict[str, Any]:
    removal = deeds.removing(found, order.mover)
    done = await removing.remove(connection, found, order.mover, removal, order.force)
    return {
        "database": address(order.dsn), "postgres": found.version, "ready": True, "adopted": False,
        "tables": [], "findings": [], "tenants": {"count": 0, "first": []}, "sql": removal.statements,
        "done": list(done.steps),
    }  # fmt: skip
