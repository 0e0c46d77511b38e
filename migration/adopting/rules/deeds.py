"""The SQL that adopts a database, and the SQL that takes it out again. Pure: values are quoted names alone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from migration.adopting.rules.findings import Standing
from migration.adopting.rules.found import Database, Table
from migration.rules.names import quoted, text_of

REPLICATES = "session_replication_role"
MADE = "made by cellway adopt"
"""The remark on a role that is to go when adoption is taken back."""
MOVER_CALLS = (
    *("enter(text, bigint)", "lock_key(text)", "set_fence(text, bigint, text, text)"),
    *("take(text, text, bigint)", "act(text, bigint)", "note(text, bigint, text, jsonb)"),
    *("hand_over(text, text, jsonb)", "forget_notes(text, bigint)", "set_captured(boolean)", "logged(text, text)"),
    *("forget_logged(text, text, integer)", "history()", "key_of(regclass)", "name_of(regclass)"),
    "refresh_statistics(text)",
)
"""What a mover may call, and so may whoever speaks the control contract here."""
STEWARD_CALLS = ("fences(text, integer)",)


@dataclass(frozen=True, slots=True)
class Deeds:
    """Upgrades come first, and wait for nobody. `install` waits for writers, so it is one short transaction."""

    owner: str | None
    """Who owns the fence, when it is not who came."""
    lock: str
    """Empty: nothing is to be installed."""
    fresh: tuple[str, ...]
    """The relations that are adopted by it."""
    install: tuple[str, ...]
    """As the owner."""
    password: bool
    """The mover's role gets one: it is made, or somebody has lost it."""
    grants: tuple[str, ...]
    """As whoever came, after the role was made: what it may do everywhere, and here."""
    wanting: bool
    """Without them it could not do what a mover does everywhere."""


def adopting(found: Database, places: Mapping[str, Standing], mover: str, *, new_password: bool = False) -> Deeds:
    """What is still to be done."""
    chosen = {
        relation: s.tenant for relation, s in places.items() if s.place == "tenants" and s.tenant is not None
    }
    tables = [found.tables[relation] for relation in chosen]
    fresh = [table for table in tables if not _installed(table, found)]
    release = [table for table in fresh if table.capture is not None or table.relation in found.adopted]
    install = [f"SELECT cellway.release_table({text_of(table.relation)}::regclass)" for table in release]
    install += [
        f"SELECT cellway.adopt_table({text_of(table.relation)}::regclass, {text_of(str(chosen[table.relation]))})"
        for table in fresh
    ]
    role = tuple(_role(found, tables, mover))
    return Deeds(
        owner=owner_of(found, tables),
        lock=_lock(fresh),
        fresh=tuple(table.relation for table in fresh),
        install=tuple(install),
        password=found.mover is None or new_password,
        grants=(*role, *_grants(found, tables, quoted(mover))),
        wanting=bool(role),
    )


def _installed(table: Table, found: Database) -> bool:
    """By the key that it has now: the log names rows by it."""
    return (
        table.intact
        and table.relation in found.adopted
        and table.capture is not None
        and table.key in table.capture
    )


def _lock(tables: Iterable[Table]) -> str:
    """What CREATE TRIGGER takes, for all of them before any: readers go on, writers wait."""
    names = ", ".join(table.relation for table in tables)
    return f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE" if names else ""


def owner_of(found: Database, tables: Sequence[Table]) -> str | None:
    """Functions run with the rights of their owner: the tables' own, and no superuser, if that is possible."""
    if found.fence_owner is not None:
        return None if found.fence_owner == found.role else found.fence_owner
    owners = {table.owner for table in tables}
    able = len(owners) == 1 and all(table.owner_creates for table in tables)
    owner = next(iter(owners)) if able else found.role
    return None if owner == found.role else owner


def _role(found: Database, tables: Sequence[Table], mover: str) -> Iterable[str]:
    name, known = quoted(mover), found.mover
    if known is None:
        yield f"COMMENT ON ROLE {name} IS {text_of(MADE)}"
    elif not known.login:
        yield f"ALTER ROLE {name} LOGIN"
    if known is None or not known.replicates:
        yield f"GRANT SET ON PARAMETER {REPLICATES} TO {name}"
    if any(table.row_security for table in tables) and not (known and known.past_row_security):
        yield f"ALTER ROLE {name} BYPASSRLS"


def schemas_of(tables: Iterable[Table]) -> list[str]:
    """Each once."""
    return sorted({table.schema for table in tables})


def shared_of(found: Database, tables: Sequence[Table]) -> list[Table]:
    """Tables that do not move, and to which those that do refer."""
    moving = {table.relation for table in tables}
    names = {reference.referenced for table in tables for reference in table.references} - moving
    return [found.tables[name] for name in sorted(names) if name in found.tables]


def sequences_of(tables: Iterable[Table]) -> list[str]:
    """That fill columns of these tables, and belong to them."""
    return sorted(
        {
            column.sequence
            for t in tables
            for column in t.columns.values()
            if column.sequence and column.sequence_owned
        }
    )


def _grants(found: Database, tables: Sequence[Table], mover: str) -> Iterable[str]:
    if not found.public_connects:
        yield f"GRANT CONNECT ON DATABASE {quoted(found.name)} TO {mover}"
    shared = shared_of(found, tables)
    schemas = [schema for schema in schemas_of([*tables, *shared]) if schema not in found.public_schemas]
    yield f"GRANT USAGE ON SCHEMA {', '.join(['cellway', *map(quoted, schemas)])} TO {mover}"
    yield f"GRANT SELECT ON cellway.tables, cellway.staying TO {mover}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON cellway.decisions TO {mover}"
    calls = ", ".join(f"cellway.{call}" for call in (*MOVER_CALLS, *STEWARD_CALLS))
    yield f"GRANT EXECUTE ON FUNCTION {calls} TO {mover}"
    if tables:
        names = ", ".join(table.relation for table in tables)
        yield f"GRANT SELECT, INSERT, DELETE ON TABLE {names} TO {mover}"
    if shared:  # it is looked whether the destination has what rows refer to
        yield f"GRANT SELECT ON TABLE {', '.join(table.relation for table in shared)} TO {mover}"
    if sequences := sequences_of(tables):
        yield f"GRANT SELECT, UPDATE ON SEQUENCE {', '.join(sequences)} TO {mover}"


@dataclass(frozen=True, slots=True)
class Removal:
    """The way back. `release` as the fence's owner, whose functions it calls; the rest as whoever came."""

    owner: str | None
    lock: str
    revoke: tuple[str, ...]
    release: tuple[str, ...]

    @property
    def statements(self) -> list[str]:
        """All of them, in order."""
        return [*([self.lock] if self.lock else []), *self.revoke, *self.release]


def removing(found: Database, mover: str) -> Removal:
    """In one transaction."""
    tables = [found.tables[relation] for relation in found.adopted if relation in found.tables]
    release = [f"SELECT cellway.release_table({text_of(table.relation)}::regclass)" for table in tables]
    return Removal(
        owner=owner_of(found, tables),
        lock=_lock(tables),
        revoke=tuple(_revokes(found, tables, quoted(mover))) if found.mover is not None else (),
        release=(*release, "DROP SCHEMA cellway CASCADE"),
    )


def _revokes(found: Database, tables: Sequence[Table], mover: str) -> Iterable[str]:
    shared = shared_of(found, tables)
    if tables:
        names = ", ".join(table.relation for table in tables)
        yield f"REVOKE SELECT, INSERT, DELETE ON TABLE {names} FROM {mover}"
    if sequences := sequences_of(tables):
        yield f"REVOKE SELECT, UPDATE ON SEQUENCE {', '.join(sequences)} FROM {mover}"
    if shared:
        names = ", ".join(table.relation for table in shared)
        yield f"REVOKE ALL ON TABLE {names} FROM {mover}"
    if schemas := [one for one in schemas_of([*tables, *shared]) if one not in found.public_schemas]:
        yield f"REVOKE USAGE ON SCHEMA {', '.join(map(quoted, schemas))} FROM {mover}"
    if not found.public_connects:
        yield f"REVOKE CONNECT ON DATABASE {quoted(found.name)} FROM {mover}"


def removing_role(mover: str) -> list[str]:
    """When nothing depends on it any more."""
    name = quoted(mover)
    return [f"REVOKE SET ON PARAMETER {REPLICATES} FROM {name}", f"DROP ROLE {name}"]
