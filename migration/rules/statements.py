# ruff: noqa: S608  names are quoted as the catalog gives them, and there are no values in these texts
"""SQL for one table, of any schema. Identifiers are quoted; values are bound, or settings of the transaction:

- `app.tenant`: whose rows;
- `cellway.since`: the snapshot from which a step starts;
- `cellway.after`, `cellway.to`: a chunk's bounds, as text[].
COPY takes no bound values, so settings are how it learns of them.
"""

from collections.abc import Sequence
from typing import Literal

from directory.rules.tables import ForeignKey, Table
from directory.rules.tables import Sequence as OwnedSequence
from migration.rules.hashing import BUCKETS, SEED, hashed
from migration.rules.names import listed, quoted, text_of

STAGED_SCHEMA = "pg_temp"
STAGED_NAME = "cellway_staged"


def _of_tenant(table: Table, prefix: str = "") -> str:
    column = table[table.tenant]
    return f"{prefix}{quoted(column.name)} = current_setting('app.tenant')::{column.plain_type}"


def _order(table: Table, prefix: str = "") -> str:
    return listed(table.order, prefix)


def _row(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _beyond(table: Table, which: Literal[1, 2], array: str) -> str:
    """The key compared to a text[] by these of `Column.operators`: greater, or no greater."""
    values = [f"({array})[{number}]::{table[name].plain_type}" for number, name in enumerate(table.order, 1)]
    signs = {table[name].operators[which] for name in table.order}
    if len(signs) == 1:
        return f"{_row([quoted(name) for name in table.order])} {signs.pop()} {_row(values)}"
    # One comparison of rows has one operator, so it is written out.
    last = table.order[-1]
    written = f"{quoted(last)} {table[last].operators[which]} {values[-1]}"
    for name, value in reversed(list(zip(table.order[:-1], values[:-1], strict=True))):
        equal, greater, _ = table[name].operators
        beyond = f"{quoted(name)} {greater} {value}"
        if which == 2:
            beyond = f"NOT ({beyond} OR {quoted(name)} {equal} {value})"
        written = f"({beyond} OR ({quoted(name)} {equal} {value} AND {written}))"
    return written


def _found(table: Table, keys: str, wanted: Sequence[str] = ("*",)) -> str:
    """From the keys of the log, which are columns k1, k2 … of `keys` as text, to their rows of the tenant, `t`.

    Row by row along the key, and never otherwise: statistics are often of before the tenant came, so a planner
    that may choose believes it has one row, and compares each of its rows with each of the keys. So `OFFSET 0`
    keeps the order, and the tenant is a part of the key whose value it does not know, or looked at afterwards.
    """
    conditions = [
        f"t.{quoted(name)} = (SELECT current_setting('app.tenant')::{table[name].plain_type})"
        if name == table.tenant
        else f"t.{quoted(name)} {table[name].operators[0]} k.k{number}::{table[name].plain_type}"
        for number, name in enumerate(table.key, 1)
    ]
    columns = ", ".join(f"t.{name}" for name in wanted)
    return (
        f"{keys} k CROSS JOIN LATERAL (SELECT {columns} FROM {table.relation} t WHERE {' AND '.join(conditions)} "
        f"OFFSET 0) t WHERE {_of_tenant(table, 't.')}"
    )


def _texts(table: Table, names: Sequence[str]) -> str:
    """Columns as the log writes them."""
    return f"ARRAY[{', '.join(f'{quoted(name)}::text' for name in names)}]::text[]"


def next_bound(table: Table, *, first: bool) -> str:
    """The key of the last row of a chunk of $1 rows, after $2 unless first. No row: the rest is the chunk."""
    after = "" if first else f" AND {_beyond(table, 1, '$2::text[]')}"
    return (
        "-- Where the next chunk ends. What is passed over is not turned into texts.\n"
        f"SELECT {_texts(table, table.order)} FROM (SELECT {_order(table)} FROM {table.relation} "
        f"WHERE {_of_tenant(table)}{after} ORDER BY {_order(table)} OFFSET $1::bigint - 1 LIMIT 1) last"
    )


def rows_of_chunk(table: Table, *, after: bool, to: bool) -> str:
    """The rows of a chunk, in the order of the key, so that the destination's index grows at one end."""
    ordered = f" ORDER BY {_order(table)}" if table.order else ""
    return f"{_columns_of(table)} WHERE {_in_chunk(table, after=after, to=to)}{ordered}"


def keys_of_chunk(table: Table, *, after: bool, to: bool) -> str:
    """Their keys."""
    return (
        "-- What a chunk will bring.\n"
        f"SELECT {_texts(table, table.key)} AS key FROM {table.relation} "
        f"WHERE {_in_chunk(table, after=after, to=to)}"
    )


def _in_chunk(table: Table, *, after: bool, to: bool) -> str:
    conditions = [_of_tenant(table)]
    if after:
        conditions.append(_beyond(table, 1, _setting("after")))
    if to:
        conditions.append(_beyond(table, 2, _setting("to")))
    return " AND ".join(conditions)


def _setting(name: str) -> str:
    return f"current_setting('cellway.{name}')::text[]"


def _columns(table: Table) -> str:
    # As it goes out, xml loses what it says of its encoding.
    return ", ".join(
        f"t.{quoted(column.name)}{'::text' if column.base == 'xml' else ''}" for column in table.copied
    )


def _columns_of(table: Table) -> str:
    return f"SELECT {_columns(table)} FROM {table.relation} t"


def holds_any(tables: Sequence[Table]) -> str:
    """Of each table, in order, whether it has a row of the tenant."""
    looks = ", ".join(f"EXISTS (SELECT FROM {table.relation} WHERE {_of_tenant(table)})" for table in tables)
    return f"-- Nothing is to be copied of the others.\nSELECT ARRAY[{looks}]"


def rows_of_tenant(table: Table) -> str:
    """All of them."""
    return f"{_columns_of(table)} WHERE {_of_tenant(table, 't.')}"


def expected_rows(table: Table) -> str:
    """How many of a tenant's rows the planner believes that there are; its plan as JSON."""
    return (
        f"-- Asked, and not counted.\nEXPLAIN (FORMAT JSON) SELECT FROM {table.relation} WHERE {_of_tenant(table)}"
    )


def rows_of_keys(table: Table) -> str:
    """The rows, as they are now, of the keys that were written since."""
    parts = ", ".join(f"key[{number}] AS k{number}" for number in range(1, len(table.key) + 1))
    keys = (
        f"(SELECT {parts} FROM cellway.logged(current_setting('app.tenant'), current_setting('cellway.since')) "
        f"WHERE relation = {text_of(table.relation)})"
    )
    if all(table[name].exact for name in table.key):
        return f"SELECT {_columns(table)} FROM {_found(table, keys)}"
    # Two texts may mean one row: 1.0 and 1.00, or abc and ABC where a collation or a type holds them equal.
    return f"{_columns_of(table)} WHERE {_is_found(table, keys)}"


def _is_found(table: Table, keys: str) -> str:
    places = _found(table, keys, ("ctid", quoted(table.tenant)))
    return f"t.ctid = ANY (ARRAY(SELECT t.ctid FROM {places}))"


def delete_keys(tables: Sequence[Table], *, noted: bool = True) -> str:
    """Deletes rows by their keys: for each table, one array a column of its key, as texts.

    `noted`: in the same statement the snapshot is noted, so $1 is the move, $2 its token and $3 the snapshot.
    """
    number = 3 if noted else 0
    parts = []
    for place, table in enumerate(tables):
        keys = _bound_keys(table, number)
        number += len(table.key)
        parts.append(f"gone{place} AS (DELETE FROM {table.relation} t WHERE {_is_found(table, keys)})")
    gone = f"WITH {', '.join(parts)} " if parts else ""
    done = "cellway.note($1, $2, $3, NULL)" if noted else "1"
    return f"-- What was written since is read again.\n{gone}SELECT {done}"


def _bound_keys(table: Table, before: int) -> str:
    """As columns k1, k2 …: one array a column of the key, the first of them bound to the place behind `before`."""
    places = range(1, len(table.key) + 1)
    arrays = ", ".join(f"${before + place}::text[]" for place in places)
    return f"(SELECT * FROM unnest({arrays}) k({', '.join(f'k{place}' for place in places)}))"


def delete_tenant(table: Table) -> str:
    """Deletes all of a tenant's rows."""
    return f"-- Any of them may have changed.\nDELETE FROM {table.relation} WHERE {_of_tenant(table)}"


def delete_some(table: Table) -> str:
    """Deletes at most $1 of a tenant's rows."""
    return (
        f"-- In batches, so that nobody waits long.\nDELETE FROM {table.relation} WHERE ctid = ANY (ARRAY("
        f"SELECT ctid FROM {table.relation} WHERE {_of_tenant(table)} LIMIT $1::bigint))"
    )


def count_rows(table: Table) -> str:
    """How many rows a tenant has, but counts no further than $1."""
    return (
        "-- Whether they are few enough.\n"
        f"SELECT count(*) FROM (SELECT FROM {table.relation} WHERE {_of_tenant(table)} LIMIT $1::bigint) counted"
    )


def stage(table: Table) -> str:
    """A place for rows on their way into a table whose row security applies to us: COPY may not write that one."""
    columns = listed(column.name for column in table.copied)
    rows = f"SELECT {columns} FROM {table.relation} WITH NO DATA"
    return f"CREATE TEMPORARY TABLE {STAGED_NAME} ON COMMIT DROP AS {rows}"


def unstage(table: Table) -> str:
    """Brings them in, and removes the place: there may be another table's rows to come."""
    columns = listed(column.name for column in table.copied)
    staged = f"{STAGED_SCHEMA}.{STAGED_NAME}"
    return (
        "-- Row security sees every one of them.\n"
        f"INSERT INTO {table.relation} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {staged}; "
        f"DROP TABLE {staged}"
    )


def _row_hash(table: Table) -> str:
    return f"hash_record_extended(ROW({', '.join(hashed(column) for column in table.copied)}), {SEED})"


def _key_hash(table: Table) -> str:
    names = table.order or table.key
    return f"hash_record_extended(ROW({', '.join(hashed(table[name]) for name in names)}), {SEED})"


def _hashes(table: Table) -> str:
    """Rows as (key_hash, row_hash)."""
    key = _key_hash(table) if table.key else _row_hash(table)
    return (
        f"SELECT {key} AS key_hash, {_row_hash(table)} AS row_hash FROM {table.relation} WHERE {_of_tenant(table)}"
    )


def sums(table: Table) -> str:
    """Count and sum of the rows' hashes by bucket. Sums, never XOR: two equal rows would cancel each other."""
    return (
        "-- What the rows of a tenant come to.\n"
        "SELECT (key_hash & 255)::int AS bucket, count(*) AS rows, sum(row_hash) AS total "
        f"FROM ({_hashes(table)}) hashed GROUP BY 1"
    )


def sums_within(table: Table) -> str:
    """The same by smaller parts of the buckets $1."""
    return (
        "-- What is different is found by looking closer.\n"
        f"SELECT (key_hash & {BUCKETS * BUCKETS * BUCKETS - 1})::int AS bucket, count(*) AS rows, "
        f"sum(row_hash) AS total FROM ({_hashes(table)}) hashed "
        "WHERE (key_hash & 255)::int = ANY ($1::int[]) GROUP BY 1"
    )


def hashes_within(table: Table) -> str:
    """Keys and hashes of the rows in the small parts $1, at most $2 of them."""
    key = _texts(table, table.key) if table.key else "NULL::text[]"
    bucket = _key_hash(table) if table.key else _row_hash(table)
    return (
        "-- The keys of what is different.\n"
        f"SELECT {key} AS key, {_row_hash(table)} AS row_hash FROM {table.relation} WHERE {_of_tenant(table)} "
        f"AND ({bucket} & {BUCKETS * BUCKETS * BUCKETS - 1})::int = ANY ($1::int[]) LIMIT $2::bigint"
    )


def dangling(looks: Sequence[tuple[Table, ForeignKey, bool]]) -> str:
    """A reference of this tenant's to a row that is not there, and the place among `looks` by which it was found.

    Where the third of a look is true, only rows of some keys are looked at, with one array a column of the key.
    """
    number, parts = 0, list[str]()
    for place, (table, foreign_key, is_keyed) in enumerate(looks):
        pairs = " AND ".join(
            f"r.{quoted(there)} = t.{quoted(here)}"
            for here, there in zip(foreign_key.columns, foreign_key.referenced_columns, strict=True)
        )
        given = " AND ".join(f"t.{quoted(name)} IS NOT NULL" for name in foreign_key.columns)
        values = ", ".join(f"t.{quoted(name)}::text" for name in foreign_key.columns)
        rows = f"{table.relation} t WHERE {_of_tenant(table, 't.')}"
        if is_keyed:
            rows = _found(table, _bound_keys(table, number))
            number += len(table.key)
        parts.append(
            f"(SELECT {place} AS place, ARRAY[{values}] AS given FROM {rows} "
            f"AND {given} AND NOT EXISTS (SELECT FROM {foreign_key.referenced} r WHERE {pairs}) LIMIT 1)"
        )
    found = " UNION ALL ".join(parts)
    return f"-- What a foreign key would have refused.\nSELECT place, given FROM ({found}) found LIMIT 1"


def sequence_positions(sequences: Sequence[OwnedSequence]) -> str:
    """The last numbers of those sequences that have given out any."""
    looks = [
        f"SELECT {place} AS place, last_value AS value FROM {sequence.relation} WHERE is_called"
        for place, sequence in enumerate(sequences)
    ]
    return "-- From where the destination has to go on.\n" + " UNION ALL ".join(looks)


def raise_sequences(sequences: Sequence[OwnedSequence]) -> str:
    """Sets each of them to its number of $1 unless it is there already, or never gets there; how many were set.

    A database with numbers of its own never gives those of another.
    """
    looks = []
    for number, sequence in enumerate(sequences, 1):
        value, below = f"($1::bigint[])[{number}]", "<" if sequence.ascending else ">"
        named = f"{text_of(sequence.relation)}::regclass"
        looks.append(
            f"SELECT setval({named}, {value}) FROM {sequence.relation}, pg_sequence "
            f"WHERE seqrelid = {named} AND {value} BETWEEN seqmin AND seqmax "
            f"AND (NOT is_called OR last_value {below} {value})"
        )
    rows = " UNION ALL ".join(looks)
    return f"-- Never back: others of this database draw from them too.\nSELECT count(setval) FROM ({rows}) raised"
