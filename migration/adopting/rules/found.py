"""What was found in a database that is not ours. Names are the catalogue's; relations are quoted, with schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `base`: the type beneath domains when it is one of Postgres' own, else empty."""

    name: str
    type: str
    base: str
    enum: bool
    extension: str | None
    nullable: bool
    generated: bool
    sequence: str | None
    """That fills it."""
    sequence_owned: bool
    sequence_bounded: bool
    """It gives numbers of a range of its own."""


@dataclass(frozen=True, slots=True)
class Unique:
    """A unique index or an exclusion constraint. A column with an empty name is an expression."""

    name: str
    primary: bool
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key."""

    name: str
    columns: tuple[str, ...]
    referenced: str
    referenced_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    relation: str
    name: str
    schema: str
    partitioned: bool
    partition: bool
    inherits: bool
    unlogged: bool
    row_security: bool
    hidden: bool
    """Row security applies to the role that we came as."""
    rules: bool
    owner: str
    ours: bool
    """The role that we came as may change it."""
    owner_creates: bool
    """Its owner may create schemas in this database."""
    rows: int
    """An estimate."""
    bytes: int
    triggers: tuple[str, ...]
    """Of its own, each with how it is enabled: `name O`."""
    indexed: frozenset[str]
    """The columns with which an index begins."""
    key: str
    """What the log would name its rows by, as an expression."""
    capture: str | None
    """The body of its capture function; None: it has none."""
    intact: bool
    """All triggers of an adoption are there, and always fire."""
    guarded: bool
    columns: Mapping[str, Column]
    uniques: tuple[Unique, ...]
    references: tuple[Reference, ...]

    @property
    def has_key(self) -> bool:
        """Something tells its rows apart."""
        return self.key != "NULL::text[]"


@dataclass(frozen=True, slots=True)
class Role:
    """The mover's role. `made`: by an adoption."""

    login: bool
    past_row_security: bool
    replicates: bool
    made: bool


@dataclass(frozen=True, slots=True)
class Adopted:
    """What cellway.tables says of a table."""

    tenant: str
    bound: bool


@dataclass(frozen=True, slots=True)
class Database:
    """All of it."""

    name: str
    version: str
    version_number: int
    standby: bool
    role: str
    superuser: bool
    fence_owner: str | None
    """Of the schema `cellway`; None: there is none."""
    fenced: bool
    """That schema is the fence, and not somebody else's."""
    tables: Mapping[str, Table]
    others: Sequence[tuple[str, str]]
    """Views (v), materialized views (m) and foreign tables (f): relation and kind."""
    adopted: Mapping[str, Adopted]
    staying: frozenset[str]
    """Relations that somebody said stay as they are."""
    mover: Role | None
    public_connects: bool
    public_schemas: frozenset[str]


@dataclass(frozen=True, slots=True)
class Seen:
    """What rows tell where the catalogue does not. A look that took too long is in `unseen`."""

    tenants: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By relation: whose rows it has."""
    nobodys: frozenset[str] = frozenset()
    """Relations that have rows without a tenant."""
    across: frozenset[tuple[str, str]] = frozenset()
    """Foreign keys (relation, name) by which a row refers to another tenant's."""
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for. `columns`: relation → tenant column; `left`: relations that stay as they are."""

    tenant_column: str = "tenant_id"
    columns: Mapping[str, str] = field(default_factory=dict)
    left: frozenset[str] = frozenset()
    mover: str = "cell_mover"
    epochs: Mapping[str, int] = field(default_factory=dict)
    """Of tenants that are there; 1 for those that are not named."""
