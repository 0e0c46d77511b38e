"""What is known of the tables whose rows move. `relation` is quoted, with its schema; other names are plain."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TEXTS = frozenset({"text", "varchar"})
"""Hashed by their bytes: a collation may hold different texts for equal."""
EXACT = TEXTS | {
    *("bool", "bytea", "uuid", "int2", "int4", "int8", "date", "time", "timetz", "timestamp", "timestamptz"),
    *("inet", "cidr", "macaddr", "macaddr8", "pg_lsn"),
}
"""Types whose own hash tells all their values apart, and is the same in every database.

All others are hashed as text: jsonb holds 1.0 for 1.00; an enum hashes the number of its label, which each
database chooses; an array forgets its bounds; json, xml, point, tsvector and bit have no hash.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column, other than dropped ones."""

    name: str
    type: str
    """With its length or precision, and with its schema unless that is pg_catalog."""
    plain_type: str
    """Without length and precision: what a text is cast to, so that nothing is cut off or rounded."""
    base: str
    """The name in pg_catalog of the type beneath domains; empty: from elsewhere, or made of others."""
    binary: bool
    """Its binary form means the same in every database; else it travels as text."""
    nullable: bool
    filled: bool
    """It gets a value when none is given: default or identity."""
    generated: bool
    """Made of other columns, so it is never copied."""
    expression: str = ""
    """From which it is made."""
    folding: bool = False
    """Its collation holds different texts for equal."""
    operators: tuple[str, ...] = ("=", ">", "<=")
    """By which its index compares it: equal, greater, no greater."""
    labels: tuple[str, ...] = ()
    """Of an enum."""
    made_of: str = ""
    """What its domain demands, or the parts of its composite type."""

    @property
    def exact(self) -> bool:
        """Values that it holds for equal have one text."""
        return self.base in EXACT and not self.folding


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique index or an exclusion constraint."""

    name: str
    columns: tuple[str, ...]
    """Empty name: an expression."""
    deferrable: bool
    definition: str = ""
    """What it holds to be the same, in which rows."""


@dataclass(frozen=True, slots=True)
class Check:
    """A condition that every row satisfies."""

    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference from a table that moves."""

    name: str
    columns: tuple[str, ...]
    referenced: str
    """The relation that it points to."""
    referenced_columns: tuple[str, ...]
    shared: bool
    """The relation that it points to does not move, so the destination has to have the row already."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence that a column owns."""

    relation: str
    table: str
    column: str
    ascending: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table whose rows belong to tenants."""

    relation: str
    schema: str
    name: str
    tenant: str
    """The column that says whose a row is."""
    bound: bool
    """Writers say whose rows they write; otherwise the rows say it."""
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    """What tells a row from all others, in the index's order, as the log writes it. Empty: nothing does."""
    uniques: tuple[Unique, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    unlogged: bool = False
    unfit: str = ""
    """Why some of its changes would not be captured: partition, inherits, rules, subscribed, uncaptured."""
    _by_name: Mapping[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {column.name: column for column in self.columns})

    def __getitem__(self, name: str) -> Column:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    @property
    def copied(self) -> tuple[Column, ...]:
        """The columns that travel."""
        return tuple(column for column in self.columns if not column.generated)

    @property
    def order(self) -> tuple[str, ...]:
        """The key without the tenant, who is always the same: by it a table is cut into chunks."""
        return tuple(name for name in self.key if name != self.tenant)

    @property
    def format(self) -> Literal["binary", "text"]:
        """How COPY writes its rows."""
        return "binary" if all(column.binary and column.base != "xml" for column in self.copied) else "text"

    @property
    def tenantless(self) -> tuple[Unique, ...]:
        """What is unique across tenants, and so may be taken already at the destination."""
        return tuple(unique for unique in self.uniques if self.tenant not in unique.columns)


@dataclass(frozen=True, slots=True)
class Schema:
    """All tables whose rows belong to tenants, by relation."""

    tables: Mapping[str, Table]
    sequences: tuple[Sequence, ...] = ()
    fingerprint: str = ""
    """Changes with whatever of the above changes."""
    encoding: str = ""
    """Of the database's texts."""
    other: str = ""
    """The fingerprint of the schema that it was compared with; empty: with none."""

    @property
    def pair(self) -> str:
        """Of both ends: rows that were brought between others are not good to go on from."""
        return f"{self.fingerprint} | {self.other}"

    def __repr__(self) -> str:
        return f"<Schema {len(self.tables)} tables, {self.fingerprint[:12]}>"
