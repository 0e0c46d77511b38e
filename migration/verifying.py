"""Whether both ends have the same rows: counts and sums of hashes by bucket, and if not, which keys differ.

Exact while writers go on: a step is taken from a reader's snapshot, then the same reader and the destination are
summed, which nobody else writes to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from directory.rules.tables import Schema, Table
from migration.catalog import QUERIES
from migration.ends import Reader, Writing
from migration.errors import Obstacle, translated
from migration.rules import statements
from migration.streams import both

MOST_BUCKETS = 8
"""Of the unequal ones, those that are looked into."""
MOST_PARTS = 128
"""Of their unequal parts, likewise."""
MOST_ROWS = 100_000
"""Of these, as many are compared one by one."""
MOST_KEYS = 100
"""So many are told; a person wants to see some, not all."""

Sum = tuple[int, Decimal]


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows of one table and tenant: bucket → (rows, sum of their hashes)."""

    buckets: Mapping[int, Sum]

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.buckets.values())

    @property
    def total(self) -> Decimal:
        return sum((total for _, total in self.buckets.values()), Decimal(0))


@dataclass(frozen=True, slots=True)
class Difference:
    """One table that is not the same at both ends."""

    relation: str
    source_rows: int
    destination_rows: int
    keys: tuple[tuple[str, ...], ...] = ()
    """Some of those that differ, as the log writes them. Empty: the table has no key."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was compared, and what differs."""

    rows: Mapping[str, int]
    sums: Mapping[str, str]
    """Of the hashes of all rows at the source, by relation: as a text, for they are larger than other numbers."""
    differences: tuple[Difference, ...] = field(default=())

    @property
    def equal(self) -> bool:
        return not self.differences


async def verify(
    source: Reader, destination: Reader, schema: Schema, relations: Iterable[str] | None = None
) -> Verified:
    """Compare all tables, or these, as the two readers see them; each table at both ends at once."""
    rows, totals, differences = {}, {}, []
    for relation in schema.tables if relations is None else relations:
        table = schema.tables[relation]
        at_source, at_destination = await both(sums(source, table), sums(destination, table))
        rows[relation], totals[relation] = at_source.rows, str(at_source.total)
        unequal = differing(at_source, at_destination)
        if unequal:
            keys = await differing_keys(source, destination, table, unequal)
            differences.append(Difference(relation, at_source.rows, at_destination.rows, keys))
    return Verified(rows, totals, tuple(differences))


async def sums(reader: Reader, table: Table) -> Sums:
    """What the tenant's rows of one table come to."""
    return await _sums(reader, statements.sums(table))


def differing(one: Sums, other: Sums) -> tuple[int, ...]:
    """The buckets that are not equal."""
    return tuple(
        bucket
        for bucket in sorted({*one.buckets, *other.buckets})
        if one.buckets.get(bucket) != other.buckets.get(bucket)
    )


async def differing_keys(
    source: Reader, destination: Reader, table: Table, unequal: tuple[int, ...]
) -> tuple[tuple[str, ...], ...]:
    """Some of the keys that differ, found by halving: buckets, parts of buckets, rows."""
    if not table.key:
        return ()
    within = statements.sums_within(table)
    buckets = list(unequal[:MOST_BUCKETS])
    one, other = await both(_sums(source, within, buckets), _sums(destination, within, buckets))
    parts = list(differing(one, other))[:MOST_PARTS]
    here, there = await both(_hashes(source, table, parts), _hashes(destination, table, parts))
    keys = sorted(key for key in {*here, *there} if here.get(key) != there.get(key))
    return tuple(keys[:MOST_KEYS])


async def refuse_dangling(
    destination: Reader | Writing, schema: Schema, written: Mapping[str, list[list[str]] | None] | None = None
) -> None:
    """Obstacle: a row of the tenant refers to a row that the destination does not have.

    No foreign key was checked while rows were brought. References among tables that move hold since they did at
    the source; those to tables that do not move are looked at here, all at once.

    `written`: the keys that may refer to other rows now, by relation; None: any.
    """
    looks = [
        (schema.tables[relation], foreign_key, keys)
        for relation, keys in (dict.fromkeys(schema.tables) if written is None else written).items()
        for foreign_key in schema.tables[relation].foreign_keys
        if foreign_key.shared
    ]
    if not looks:
        return
    statement = statements.dangling([(table, key, keys is not None) for table, key, keys in looks])
    columns = [list(column) for _, _, keys in looks if keys for column in zip(*keys, strict=True)]
    with translated(destination.where):
        row = await destination.connection.fetchrow(statement, *columns)
    if row is not None:
        table, foreign_key, _ = looks[row["place"]]
        raise Obstacle(
            f"{table.relation} ({', '.join(foreign_key.columns)}) = ({', '.join(row['given'])}) refers to "
            f"{foreign_key.referenced}, which does not move, and {destination.where} has no such row: bring it "
            "there first"
        )


async def _sums(reader: Reader, statement: str, *values: object) -> Sums:
    with translated(reader.where):
        await reader.connection.execute(QUERIES["expect_few_buckets"])
        found = await reader.connection.fetch(statement, *values)
    return Sums({row["bucket"]: (row["rows"], row["total"]) for row in found})


async def _hashes(reader: Reader, table: Table, parts: list[int]) -> dict[tuple[str, ...], list[int]]:
    with translated(reader.where):
        found = await reader.connection.fetch(statements.hashes_within(table), parts, MOST_ROWS)
    hashes: dict[tuple[str, ...], list[int]] = {}
    for row in found:
        hashes.setdefault(tuple(row["key"]), []).append(row["row_hash"])
    return hashes
