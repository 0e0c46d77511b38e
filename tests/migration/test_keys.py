# ruff: noqa: S608  tables and values are the test's own
"""Keys of all types: cut into chunks, logged, deleted and found again by their texts."""

import pytest

from migration.rules import chunks
from runtime.embedded.postgres import PostgresServer
from tests.migration.cells import journey, new_place

KEYS = {
    "char(5)": "'k' || n",
    "varchar(9)": "'k''\"\\,{}' || n",
    "text": "CASE n WHEN 1 THEN '' WHEN 2 THEN 'NULL' ELSE chr(8364) || n END",
    '"char"': 'chr(64 + n)::"char"',
    "name": "'n' || n",
    "numeric(10, 2)": "n / 4.0",
    "numeric": "n / 7.0",
    "real": "n / 7.0",
    "float8": "CASE n WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' ELSE n / 7.0 END",
    "boolean": "n % 2 = 0",
    "date": "date '0001-01-01 BC' + n * 100000",
    "timestamptz": "CASE n WHEN 1 THEN 'infinity' ELSE timestamptz '1969-12-31' + n * interval '1.234567 s' END",
    "timestamp(0)": "timestamp '2024-01-01' + n * interval '1 day'",
    "time": "time '00:00' + n * interval '1 min'",
    "timetz": "timetz '12:00:00.5+03:30' + n * interval '1 min'",
    "interval": "n * interval '1 mon 1 day 1.5 s'",
    "bytea": "decode(to_hex(n + 16), 'hex')",
    "uuid": "gen_random_uuid()",
    "inet": "inet '10.0.0.0/8' + n",
    "macaddr": "('08:00:2b:01:02:' || to_hex(n + 16))::macaddr",
    "bit(8)": "n::bit(8)",
    "bit varying": "n::bit(8)::varbit",
    "money": "n * 1.25",
    "jsonb": "jsonb_build_object('n', n)",
    "integer[]": "ARRAY[n, NULL, n]",
    "int4range": "int4range(n, n + 3)",
    "pg_lsn": "('0/' || to_hex(n))::pg_lsn",
    "public.mood": "(ARRAY['sad', 'so, so', 'ok'])[1 + n % 3]::public.mood",
    "public.few": "n",
    "bigint": "n * -1000000000000",
}
COUNTS = {"boolean": 2, "public.mood": 3}
ENUM = (
    "CREATE TYPE public.mood AS ENUM ('sad', 'so, so', 'ok'); "
    "CREATE DOMAIN public.few AS smallint CHECK (value < 99);"
)


async def test_rows_are_found_by_keys_of_every_type(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their texts, and compared by their own types, with another key column before or behind."""
    monkeypatch.setattr(chunks, "FIRST_ROWS", 4)
    monkeypatch.setattr(chunks, "MOST_ROWS", 4)
    ddl, rows, tables = [ENUM], [], {}
    for number, (type_, expression) in enumerate(KEYS.items()):
        relation = f"public.t{number}"
        ddl.append(
            f"CREATE TABLE {relation} (tenant bigint, k {type_}, part text, v text, "
            "PRIMARY KEY (k, tenant, part));"
        )
        count = COUNTS.get(type_, 11)
        rows.append(
            f"INSERT INTO {relation} SELECT current_setting('app.tenant')::bigint, {expression}, 'p', 'v' "
            f"FROM generate_series(1, {count}) n"
        )
        tables[relation] = "tenant"
    source = await new_place(postgres_server, "".join(ddl), tables)
    destination = await new_place(postgres_server, "CREATE TYPE public.first AS ENUM ();" + "".join(ddl), tables)
    async with journey(source, destination, "42") as moving:
        await moving.write("; ".join(rows))
        await moving.copy()
        assert await moving.told_apart() == []
        await moving.write(
            "; ".join(
                f"DELETE FROM {relation} WHERE ctid IN (SELECT ctid FROM {relation} ORDER BY k LIMIT 1); "
                f"UPDATE {relation} SET v = 'w' "
                f"WHERE ctid IN (SELECT ctid FROM {relation} ORDER BY k DESC LIMIT 2)"
                for relation in tables
            )
        )
        verified = await moving.step_and_verify()
        assert verified.equal, verified.differences
        assert moving.steps[-1].keys > len(tables) * 2
        assert await moving.told_apart() == []
