"""Two schemas, and what keeps a tenant's rows from one out of the other. The order of columns may differ."""

from collections.abc import Iterator
from dataclasses import dataclass

from directory.rules.tables import Column, Schema, Table

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


def _findings(source: Schema, destination: Schema) -> Iterator[Finding]:
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


def _in_table(table: Table, other: Table) -> Iterator[Finding]:
    if table.tenant != other.tenant:
        yield Finding(
            table.relation, f"names its tenant in {table.tenant}, and at the destination in {other.tenant}", _SAME
        )
    if table.key != other.key:
        yield Finding(
            table.relation,
            f"has the key ({', '.join(table.key)}), and at the destination ({', '.join(other.key)})",
            "give both the same primary key",
        )
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
    known = {frozenset(unique.columns) for unique in table.uniques}
    for unique in other.uniques:
        if frozenset(unique.columns) not in known:
            yield Finding(f"{table.relation} {unique.name}", "is unique at the destination only", _SAME)
    for unique in other.tenantless:
        if unique.deferrable:
            yield Finding(
                f"{table.relation} {unique.name}",
                "is unique across tenants and deferrable, so it is not checked while rows are brought",
                "make it NOT DEFERRABLE, or the tenant a part of it",
            )


_SAME = "bring both ends to the same version of the schema"


def _in_column(where: str, column: Column, other: Column) -> Iterator[Finding]:
    if column.type != other.type:
        yield Finding(where, f"is of type {column.type}, and at the destination of {other.type}", _SAME)
    if column.generated != other.generated:
        yield Finding(where, "is generated at one end only", _SAME)
    if column.nullable and not other.nullable:
        yield Finding(where, "may be null, and may not at the destination", _SAME)
