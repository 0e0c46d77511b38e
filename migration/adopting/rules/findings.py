"""What is ready for adoption, what is in the way, and how to mend it. Pure.

A table belongs to tenants when it has the tenant column, when somebody said by which column it does, or when a
tenant column refers to it: then the column that is referred to is its own. What refers to such a table without a
tenant column belongs to tenants too, and nobody could tell whose it is: that is in the way. All others are shared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from directory.rules.names import is_name
from migration.adopting.rules.found import Column, Database, Reference, Seen, Table, Unique, Wishes
from migration.rules.names import quoted

OLDEST_VERSION = 150000
"""Roles may be granted SET on a parameter since then."""
TENANT_TYPES = frozenset({"text", "varchar", "uuid", "int2", "int4", "int8"})
"""Whose text is the same wherever it is written. Enums too."""
KEYLESS_ROWS = 200_000
"""`migration.stepping` copies no more of one tenant again and again."""
SHOWN = 5
Place = Literal["tenants", "shared", "left", "unclear"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`obstacle`: adoption is refused until it is mended; otherwise a remark. `about`: a relation, or empty."""

    about: str
    text: str
    mend: str = ""
    obstacle: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a table stands. `tenant`: by which column it belongs to tenants."""

    place: Place
    tenant: str | None = None
    through: Reference | None = None
    """What makes it belong to tenants although nobody can tell to whom."""


def standings(found: Database, wishes: Wishes) -> Mapping[str, Standing]:
    """Of every table, by relation."""
    known = {relation: Standing("left") for relation in wishes.left}
    for relation, table in found.tables.items():
        if relation in known:
            continue
        tenant = wishes.columns.get(relation)
        if tenant is None and wishes.tenant_column in table.columns:
            tenant = wishes.tenant_column
        if tenant is not None:
            known[relation] = Standing("tenants", tenant)
    for relation, tenant in _referred(found, known):
        known[relation] = Standing("tenants", tenant)
    for relation, through in _dependent(found, known):
        known[relation] = Standing("unclear", through=through)
    return {relation: known.get(relation, Standing("shared")) for relation in found.tables}


def _referred(found: Database, known: Mapping[str, Standing]) -> Iterator[tuple[str, str]]:
    """Tables to which tenant columns refer, and by which column."""
    todo = [relation for relation, standing in known.items() if standing.place == "tenants"]
    tenants = {relation: known[relation].tenant for relation in todo}
    while todo:
        relation = todo.pop()
        for reference in found.tables[relation].references:
            pairs = dict(zip(reference.columns, reference.referenced_columns, strict=True))
            tenant = pairs.get(tenants[relation] or "")
            if tenant is not None and reference.referenced not in {**known, **tenants}:
                tenants[reference.referenced] = tenant
                todo.append(reference.referenced)
                yield reference.referenced, tenant


def _dependent(found: Database, known: Mapping[str, Standing]) -> Iterator[tuple[str, Reference]]:
    """Tables whose rows refer, over however many others, to rows of tenants."""
    reached = {relation for relation, standing in known.items() if standing.place == "tenants"}
    more = True
    while more:
        more = False
        for relation, table in found.tables.items():
            if relation in known or relation in reached:
                continue
            through = next((one for one in table.references if one.referenced in reached), None)
            if through is not None:
                reached.add(relation)
                more = True
                yield relation, through


def findings(found: Database, seen: Seen, places: Mapping[str, Standing], wishes: Wishes) -> list[Finding]:
    """Everything there is to say, what is in the way first."""
    said = [*_about_database(found, seen, places, wishes)]
    for relation, standing in places.items():
        table = found.tables[relation]
        if standing.tenant is not None:
            said += _about_table(found, seen, places, table, standing.tenant)
        elif standing.through is not None:
            said.append(_unclear(found, places, table, standing.through))
    return sorted(said, key=lambda finding: not finding.obstacle)


def _about_database(
    found: Database, seen: Seen, places: Mapping[str, Standing], wishes: Wishes
) -> Iterator[Finding]:
    def obstacle(text: str, mend: str) -> Finding:
        return Finding("", text, mend, obstacle=True)

    if found.version_number < OLDEST_VERSION:
        yield obstacle(f"Postgres {found.version} is too old", "upgrade it to 15 or later")
    if found.standby:
        yield obstacle("this is a standby, which takes no writes", "name the primary")
    if found.fence_owner is not None and not found.fenced:
        yield obstacle(
            "there is a schema called cellway that is not ours", "rename it: ALTER SCHEMA cellway RENAME …"
        )
    if any(adopted.bound for adopted in found.adopted.values()):
        yield obstacle(
            "this is a cell of Cellway's own, which needs no adoption", "name the database of your service"
        )
    for relation, adopted in found.adopted.items():
        standing = places.get(relation, Standing("shared"))
        if not adopted.bound and standing.tenant != adopted.tenant and relation in found.tables:
            yield Finding(
                relation, f"it is adopted by column {adopted.tenant}",
                f"say --column {relation}={adopted.tenant}, or take it out first: --remove", obstacle=True,
            )  # fmt: skip
    chosen = [found.tables[relation] for relation, standing in places.items() if standing.place == "tenants"]
    if not chosen:
        yield obstacle(
            f"no table has a column {wishes.tenant_column}",
            "say --tenant-column, or --column TABLE=COLUMN for each",
        )
    yield from _about_roles(found, chosen, wishes)
    odd = sorted({tenant for names in seen.tenants.values() for tenant in names if not is_name(tenant)})
    if odd:
        yield Finding(
            "", f"{len(odd)} tenants have names that the directory cannot hold: {_some(odd)}",
            "they are served here as before, but cannot be routed or moved; names have 2 to 40 lower-case "
            "letters, digits and inner dashes",
        )  # fmt: skip
    for name in seen.unseen:
        yield Finding("", f"{name} could not be looked through in time", "try again when there is less to do")
    for relation, kind in found.others:
        if kind == "m":
            yield Finding(relation, "it is a materialized view: its rows do not move", "refresh it after a move")
        if kind == "f":
            yield Finding(relation, "it is a foreign table: its rows are elsewhere, and do not move")


def _about_roles(found: Database, chosen: list[Table], wishes: Wishes) -> Iterator[Finding]:
    strangers = sorted({table.owner for table in chosen if not table.ours})
    if strangers:
        yield Finding(
            "", f"tables belong to {', '.join(strangers)}, as whom {found.role} may not act",
            "come as their owner, or as a superuser", obstacle=True,
        )  # fmt: skip
    secured = any(table.row_security for table in chosen)
    mover = found.mover
    ready = mover is not None and mover.login and mover.replicates and (mover.past_row_security or not secured)
    if not ready and not found.superuser and found.version_number >= OLDEST_VERSION:
        name = quoted(wishes.mover)
        made = "" if mover else f"CREATE ROLE {name} LOGIN PASSWORD '…';\n"
        past = f"\nALTER ROLE {name} BYPASSRLS;" if secured else ""
        yield Finding(
            "", f"{found.role} cannot give role {wishes.mover} what a mover needs",
            f"come as a superuser, or let one run:\n{made}"
            f"GRANT SET ON PARAMETER session_replication_role TO {name};{past}", obstacle=True,
        )  # fmt: skip


def _about_table(
    found: Database, seen: Seen, places: Mapping[str, Standing], table: Table, tenant: str
) -> Iterator[Finding]:
    relation = table.relation

    def obstacle(text: str, mend: str) -> Finding:
        return Finding(relation, text, mend, obstacle=True)

    if table.partitioned or table.partition:
        yield obstacle("it is partitioned, and changes of partitions cannot be captured", "make it a plain table")
    elif table.inherits:
        yield obstacle("it inherits or is inherited from: a statement may mean both", "ALTER TABLE … NO INHERIT …")
    if table.rules:
        yield obstacle("it has rules that rewrite statements", "make triggers of them")
    if table.hidden:
        yield obstacle(f"row security hides rows from {found.role}, so tenants too", "come as a superuser")
    if "" in seen.tenants.get(relation, ()):
        yield obstacle("it has rows of a tenant without a name", f"give them another {tenant}, or none")
    if table.guarded:
        yield obstacle("it has the guard of a bound service", "this database is a cell already")
    column = table.columns[tenant]
    if column.base not in TENANT_TYPES and not column.enum:
        yield obstacle(
            f"{tenant} is of type {column.type}, of which one value can be written in several ways",
            f"make it one of {', '.join(sorted(TENANT_TYPES))}",
        )
    if column.nullable:
        has = "it has rows" if relation in seen.nobodys else "it may have rows"
        mend = f"ALTER TABLE {relation} ALTER COLUMN {quoted(tenant)} SET NOT NULL"
        yield Finding(relation, f"{has} without a tenant: they are not guarded, and stay where they are", mend)
    if not table.has_key:
        yield Finding(
            relation, "nothing tells its rows apart: with any change of a tenant all of its rows here are copied "
            f"again, and beyond {KEYLESS_ROWS} of them it cannot move", "give it a primary key",
        )  # fmt: skip
    if tenant not in table.indexed:
        yield Finding(
            relation, f"no index begins with {tenant}: a tenant's rows are found by reading all of the table, "
            "also while it is adopted", f"CREATE INDEX CONCURRENTLY ON {relation} ({quoted(tenant)})",
        )  # fmt: skip
    yield from _uniques(table, tenant)
    yield from _references(seen, places, table, tenant)
    yield from _peculiarities(table)


def _uniques(table: Table, tenant: str) -> Iterator[Finding]:
    for unique in table.uniques:
        if tenant in unique.columns:
            continue
        columns = [table.columns[name] for name in unique.columns if name]
        counted = next((column for column in columns if column.sequence), None)
        if counted is not None and counted.sequence_bounded:
            continue
        if counted is not None:
            yield Finding(
                table.relation, f"{unique.name} is unique without the tenant, and {counted.name} is counted up: "
                "two databases give the same numbers, and a tenant cannot move to where its numbers are taken",
                own_numbers(counted),
            )  # fmt: skip
        elif not _is_random(unique, table):
            yield Finding(
                table.relation, f"{unique.name} ({', '.join(unique.columns)}) is unique without the tenant: a "
                "tenant cannot move to where another has its value",
                "make the tenant a part of it, if values are a tenant's own",
            )  # fmt: skip


def _is_random(unique: Unique, table: Table) -> bool:
    return all(name and table.columns[name].base == "uuid" for name in unique.columns)


def own_numbers(column: Column) -> str:
    """The statements by which this database, and the next, count in ranges of their own."""
    size = 10**9 if column.base == "int4" else 10**12
    start = f"MINVALUE {size + 1} MAXVALUE {2 * size} START {size + 1} RESTART"
    return (
        f"ALTER SEQUENCE {column.sequence} MAXVALUE {size};\n"
        f"-- in the next, before it is used: ALTER SEQUENCE {column.sequence} {start};"
    )


def _references(seen: Seen, places: Mapping[str, Standing], table: Table, tenant: str) -> Iterator[Finding]:
    for reference in table.references:
        standing = places.get(reference.referenced)
        if standing is None or standing.place != "tenants":
            yield Finding(
                table.relation, f"it refers to {reference.referenced}, which does not move ({reference.name})",
                "the destination must have the same rows there before a tenant comes",
            )  # fmt: skip
        elif (table.relation, reference.name) in seen.across:
            yield Finding(
                table.relation, f"rows refer to other tenants' rows in {reference.referenced} ({reference.name})",
                f"mend them: those whose {tenant} differs from the {standing.tenant} of what they refer to",
                obstacle=True,
            )  # fmt: skip


def _peculiarities(table: Table) -> Iterator[Finding]:
    if table.unlogged:
        yield Finding(
            table.relation, "it is unlogged: after a crash of the server its rows are lost, moved or not"
        )
    always = [trigger.rpartition(" ")[0] for trigger in table.triggers if trigger[-1] in "AR"]
    if always:
        yield Finding(
            table.relation, f"triggers that fire for replicas too do so again where rows arrive: {_some(always)}",
            "ALTER TABLE … ENABLE TRIGGER …, unless they are to count what arrives",
        )  # fmt: skip
    loose = [column for column in table.columns.values() if column.sequence and not column.sequence_owned]
    for column in loose:
        yield Finding(
            table.relation, f"{column.name} is counted by a sequence that it does not own, and that stays behind",
            f"ALTER SEQUENCE {column.sequence} OWNED BY {table.relation}.{quoted(column.name)}",
        )  # fmt: skip
    own = sorted({column.type for column in table.columns.values() if not column.base and not column.extension})
    if own:
        yield Finding(table.relation, f"types of its own have to be alike at the destination: {_some(own)}")
    extensions = sorted({column.extension for column in table.columns.values() if column.extension})
    if extensions:
        yield Finding(table.relation, f"the destination needs the same extensions: {_some(extensions)}")
    if any(column.base == "oid" for column in table.columns.values()):
        yield Finding(
            table.relation, "it has numbers of objects (oid): large objects are no rows, and do not move",
            "keep them as bytea",
        )  # fmt: skip


def _unclear(found: Database, places: Mapping[str, Standing], table: Table, through: Reference) -> Finding:
    parent = places[through.referenced]
    text = f"its rows belong to tenants through {through.referenced} ({through.name}), and do not say to whom"
    if parent.tenant is None or len(through.columns) != 1:
        mend = f"mend {through.referenced} first, then give this table its tenant column from there"
    else:
        name, column = quoted(parent.tenant), found.tables[through.referenced].columns[parent.tenant]
        relation = table.relation
        mend = (
            f"ALTER TABLE {relation} ADD COLUMN {name} {column.type};\n"
            f"UPDATE {relation} c SET {name} = p.{name} FROM {through.referenced} p "
            f"WHERE p.{quoted(through.referenced_columns[0])} = c.{quoted(through.columns[0])};\n"
            f"ALTER TABLE {relation} ALTER COLUMN {name} SET NOT NULL;\n"
            f"CREATE INDEX CONCURRENTLY ON {relation} ({name});\n"
            "and let your program, or a trigger BEFORE INSERT, fill it. If its rows may stay behind: --leave"
        )
    return Finding(table.relation, text, mend, obstacle=True)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
