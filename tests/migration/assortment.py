"""A schema with one of everything that a service may have, and rows in it."""

TYPES = """
    CREATE SCHEMA shop;
    CREATE SCHEMA "Odd Names";
    CREATE TABLE shop.countries (code text PRIMARY KEY, name text);
    INSERT INTO shop.countries VALUES ('de', 'Germany'), ('fr', 'France');
"""
ENUMS = (
    "CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'happy');",
    "CREATE TYPE shop.pair AS (left_side integer, mood shop.mood);",
    "CREATE TYPE shop.span AS RANGE (subtype = numeric);",
    "CREATE DOMAIN shop.amount AS numeric(12, 4) CHECK (value >= 0);",
)
TABLES = r"""
    CREATE TABLE shop.orders (
        tenant_id text, region text, number bigint, code integer, placed_at timestamptz NOT NULL DEFAULT now(),
        total shop.amount, parent bigint, country text REFERENCES shop.countries,
        doubled numeric GENERATED ALWAYS AS (total * 2) STORED,
        PRIMARY KEY (tenant_id, region, number), UNIQUE (tenant_id, code),
        FOREIGN KEY (tenant_id, region, parent) REFERENCES shop.orders ON DELETE CASCADE);
    CREATE TABLE shop.lines (
        tenant_id text, line_id bigint GENERATED ALWAYS AS IDENTITY, region text, number bigint, note text,
        PRIMARY KEY (line_id, tenant_id),
        FOREIGN KEY (tenant_id, region, number) REFERENCES shop.orders ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE shop.everything (
        tenant_id text, id uuid, serial_number bigserial, small smallint, mood shop.mood, moods shop.mood[],
        pair shop.pair, bounds integer[], texts text[], words jsonb, raw json, amount numeric, price money,
        ratio float8, single real, lasts interval, span shop.span, days daterange, many int4multirange,
        blob bytea, point point, search tsvector, doc xml, bits bit(4), more_bits bit varying, address inet,
        fixed char(5), varied varchar(9), at time, zoned timetz, day date, mac macaddr, lsn pg_lsn, kind regtype,
        flag boolean, loose text, PRIMARY KEY (tenant_id, id));
    CREATE TABLE shop.events (tenant_id text, happened_at timestamptz, what text);
    CREATE TABLE "Odd Names"."A ""quoted"" 'table'" (
        "Tenant Id" text, "select" text, "order" float8, "Größe; --" text,
        PRIMARY KEY ("Tenant Id", "select", "order"));
    CREATE TABLE shop.single (tenant_id text PRIMARY KEY, settings jsonb);
"""
RELATIONS = {
    "shop.orders": "tenant_id",
    "shop.lines": "tenant_id",
    "shop.everything": "tenant_id",
    "shop.events": "tenant_id",
    """"Odd Names"."A ""quoted"" 'table'\"""": "Tenant Id",
    "shop.single": "tenant_id",
}
# The other end was made at another time: numbers of types, and the order of columns, are others there.
ELSEWHERE = """
    CREATE TYPE shop.earlier AS ENUM ('x', 'y');
"""
EVERYTHING_ELSEWHERE = r"""
    CREATE TABLE shop.single (settings jsonb, tenant_id text PRIMARY KEY);
"""
ROWS = """
    INSERT INTO shop.orders (tenant_id, region, number, code, total, parent, country)
    SELECT current_setting('app.tenant'), CASE WHEN n % 2 = 0 THEN 'nord' ELSE 'süd' END, n, n, n * 1.5,
           CASE WHEN n > 10 THEN 2 - n % 2 END, CASE WHEN n % 3 = 0 THEN 'de' END
    FROM generate_series(1, 60) n;
    INSERT INTO shop.lines (tenant_id, region, number, note)
    SELECT tenant_id, region, number, 'line ' || l FROM shop.orders, generate_series(1, 3) l
    WHERE tenant_id = current_setting('app.tenant');
    INSERT INTO shop.everything
    SELECT current_setting('app.tenant'), gen_random_uuid(), n, n, 'happy', '{ok,NULL,sad}', '(3,ok)',
           '[2:3]={7,8}', ARRAY['a', NULL, 'a,"b"'], '{"a": 1.00}', '{"a":  1.0}', 1.00, 12.5, 'NaN', '-0',
           '1 day 24:00:00', '[1.0,2.00)', '[2024-01-01,infinity)', '{[1,3),[8,9)}', '\\x00ff', '(1,2.5)', 'a b:2',
           '<a b="c"/>', B'1010', B'1', '10.0.0.1/8', 'ab', 'cd', '12:00', '12:00+02', '0044-03-15 BC',
           '08:00:2b:01:02:03', '16/B374D848', 'shop.mood', n % 2 = 0, NULLIF(repeat('x', n * 500), '')
    FROM generate_series(0, 30) n;
    INSERT INTO shop.events SELECT current_setting('app.tenant'), 'epoch', 'same' FROM generate_series(1, 5);
    INSERT INTO "Odd Names"."A ""quoted"" 'table'"
    SELECT current_setting('app.tenant'), chr(65 + n) || E'\\t''"', n / 3.0, NULL FROM generate_series(0, 20) n;
    INSERT INTO shop.single VALUES (current_setting('app.tenant'), '{"theme": "dark"}');
"""


def source_ddl() -> str:
    """As one end has it."""
    return TYPES + "".join(ENUMS) + TABLES


def destination_ddl() -> str:
    """As the other has it: made in another order."""
    enum, pair, span, amount = ENUMS
    single = TABLES.index("    CREATE TABLE shop.single")
    return TYPES + ELSEWHERE + amount + span + enum + pair + TABLES[:single] + EVERYTHING_ELSEWHERE
