"""Two schemas, and what keeps a tenant's rows from one out of the other. The order of columns may differ."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from directory.rules.tables import Column, ForeignKey, Schema, Table

MOST_KEYLESS_ROWS = 200_000
"""Of a tenant, in a table without a key: any write there means that all of them are copied again."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One obstacle, found before anything was copied."""

    where: str
    """A relation, or one of its columns or constraints."""
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy}"


def obstacles(source: Schema, destination: Schema) -> tuple[Finding, ...]:
    """Everything that is in the way; empty: nothing is."""
    return tuple(sorted(_findings(source, destination)))


def too_large(table: Table, rows: int) -> Finding | None:
    """Why a tenant with so many rows in it cannot move; None: it can."""
    if table.key or rows <= MOST_KEYLESS_ROWS:
        return None
    return Finding(
        table.relation,
        f"has no key, and {rows:,} rows of this tenant, which would all be copied again after every write",
        "give it a primary key",
    )


def spelled_otherwise(schema: Schema, tenant_id: str) -> tuple[Finding, ...]:
    """Columns that write this tenant in another way: its rows are there, and capture would not know them."""
    return tuple(
        Finding(
            f"{table.relation}.{table.tenant}",
            f"is of type {column.type}, which does not write a tenant as {tenant_id}",
            "call the tenant in the directory as its rows do, or make the column a text",
        )
        for table in schema.tables.values()
        if _written(column := table[table.tenant], tenant_id) != tenant_id
    )


def _written(column: Column, tenant_id: str) -> str:
    try:
        if column.base == "uuid":
            return str(UUID(tenant_id))
        return str(int(tenant_id)) if column.base in ("int2", "int4", "int8") else tenant_id
    except ValueError:
        return ""


def _findings(source: Schema, destination: Schema) -> Iterator[Finding]:
    if source.encoding != destination.encoding:
        yield Finding(
            "the databases",
            f"keep texts in {source.encoding}, and at the destination in {destination.encoding}",
            "make the destination in the same encoding",
        )
    for end, schema in (("", source), (" at the destination", destination)):
        for relation, table in schema.tables.items():
            if table.unfit:
                what, remedy = _UNFIT[table.unfit]
                yield Finding(relation, what + end, remedy)
    for relation, table in source.tables.items():
        other = destination.tables.get(relation)
        if other is None:
            yield Finding(
                relation,
                "is not among the destination's tables of tenants",
                "bring the destination to the same version, and capture or adopt the table there",
            )
        else:
            yield from _in_table(table, other)
    for relation in destination.tables.keys() - source.tables.keys():
        yield Finding(
            relation,
            "is among the destination's tables of tenants only",
            "bring the source to the same version: the way back must lead to the same tables",
        )


_UNFIT = {
    "partition": (
        "is a partition, so who writes to the whole table is not captured",
        "make one plain table of all, and adopt that",
    ),
    "inherits": (
        "inherits or is inherited from, so one statement may mean several tables",
        "ALTER TABLE … NO INHERIT …",
    ),
    "rules": ("has rules that rewrite statements", "make triggers of them"),
    "subscribed": (
        "is written to by a subscription, which fires no trigger of a statement",
        "end the subscription, or take the table out of it",
    ),
    "uncaptured": (
        "has not all triggers of its capture, or they are off, or they name another key than it has now",
        "capture or adopt it again",
    ),
}
"""By `Table.unfit`: what is wrong, and what to do."""


def _in_table(table: Table, other: Table) -> Iterator[Finding]:
    if table.tenant != other.tenant:
        yield Finding(
            table.relation, f"names its tenant in {table.tenant}, and at the destination in {other.tenant}", _SAME
        )
    if table.tenant in table and table[table.tenant].folding:
        yield Finding(
            f"{table.relation}.{table.tenant}",
            "has a collation that holds different texts for equal, so a tenant may have several names",
            "give it a deterministic collation",
        )
    if table.key != other.key:
        yield Finding(
            table.relation,
            f"has the key ({', '.join(table.key)}), and at the destination ({', '.join(other.key)})",
            "give both the same primary key",
        )
    if other.unlogged and not table.unlogged:
        yield Finding(table.relation, "is unlogged at the destination only", "ALTER TABLE … SET LOGGED")
    for column in table.columns:
        if column.name not in other:
            yield Finding(f"{table.relation}.{column.name}", "is missing at the destination", _SAME)
        else:
            yield from _in_column(f"{table.relation}.{column.name}", column, other[column.name])
    for column in other.columns:
        if column.name not in table and not (column.nullable or column.filled or column.generated):
            yield Finding(
                f"{table.relation}.{column.name}",
                "is only at the destination, where it may not be null and has no default",
                "give it a default, or bring the source to the same version",
            )
    yield from _in_constraints(table, other)


def _in_constraints(table: Table, other: Table) -> Iterator[Finding]:
    """Whatever only the destination demands: the source's rows need not satisfy it."""
    known = {(frozenset(unique.columns), unique.definition) for unique in table.uniques}
    for unique in other.uniques:
        if (frozenset(unique.columns), unique.definition) not in known:
            yield Finding(f"{table.relation} {unique.name}", "is unique at the destination only", _SAME)
    for unique in other.tenantless:
        if unique.deferrable:
            yield Finding(
                f"{table.relation} {unique.name}",
                "is unique across tenants and deferrable, so it is not checked while rows are brought",
                "make it NOT DEFERRABLE, or the tenant a part of it",
            )
    conditions = {check.definition for check in table.checks}
    for check in other.checks:
        if check.definition.removesuffix(_UNCHECKED) not in conditions:
            what = f"is checked at the destination only, or not of all rows at the source: {check.definition}"
            yield Finding(f"{table.relation} {check.name}", what, f"VALIDATE CONSTRAINT, or {_SAME}")
    references = {_meant(foreign_key) for foreign_key in table.foreign_keys}
    for foreign_key in other.foreign_keys:
        if _meant(foreign_key) not in references:
            yield Finding(
                f"{table.relation} {foreign_key.name}",
                f"refers to {foreign_key.referenced} at the destination only, where it is not checked while rows "
                "are brought",
                _SAME,
            )


_UNCHECKED = " NOT VALID"


def _meant(foreign_key: ForeignKey) -> tuple[str, frozenset[tuple[str, str]]]:
    pairs = zip(foreign_key.columns, foreign_key.referenced_columns, strict=True)
    return foreign_key.referenced, frozenset(pairs)


_SAME = "bring both ends to the same version of the schema"


def _in_column(where: str, column: Column, other: Column) -> Iterator[Finding]:
    if column.type != other.type:
        yield Finding(where, f"is of type {column.type}, and at the destination of {other.type}", _SAME)
    if column.generated != other.generated:
        yield Finding(where, "is generated at one end only", _SAME)
    elif column.expression != other.expression:
        what = f"is made by {column.expression}, and at the destination by {other.expression}"
        yield Finding(where, what, _SAME)
    if missing := [label for label in column.labels if label not in other.labels]:
        yield Finding(
            where,
            f"has values that its type lacks at the destination: {', '.join(missing)}",
            "ALTER TYPE … ADD VALUE",
        )
    if column.made_of != other.made_of:
        yield Finding(
            where, f"is of a type of {column.made_of or 'anything'}, and at the destination of "
            f"{other.made_of or 'anything'}", _SAME,
        )  # fmt: skip
    if column.folding != other.folding:
        yield Finding(where, "has a collation that holds different texts for equal at one end only", _SAME)
    if column.nullable and not other.nullable:
        yield Finding(where, "may be null, and may not at the destination", _SAME)
