"""What a database's catalogue says of its schemas, as lines: databases that agree in them are built alike.

Used to prove that the whole schema kept in one file equals the sum of its upgrades.
"""

from runtime.database import Connection

_QUERIES = {
    "columns": """
        SELECT format('%I.%I.%I %s collate %s default %s %s %s', n.nspname, c.relname, a.attname,
                      format_type(a.atttypid, a.atttypmod), coalesce(l.collname, '-'),
                      coalesce(pg_get_expr(d.adbin, d.adrelid), '-'),
                      CASE WHEN a.attnotnull THEN 'not null' ELSE 'null' END,
                      a.attidentity::text || a.attgenerated::text)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        LEFT JOIN pg_collation l ON l.oid = a.attcollation
        WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'v', 'm')
          AND a.attnum > 0 AND NOT a.attisdropped""",
    "relations": """
        SELECT format('%I.%I kind %s owner %s row security %s forced %s options %s',
                      n.nspname, c.relname, c.relkind, c.relowner::regrole, c.relrowsecurity,
                      c.relforcerowsecurity, c.reloptions)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY ($1) AND c.relkind <> 't'""",
    "constraints": """
        SELECT format('%s %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid))
        FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace WHERE n.nspname = ANY ($1)""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = ANY ($1)",
    "triggers": """
        SELECT pg_get_triggerdef(t.oid) || ' enabled ' || t.tgenabled::text
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY ($1) AND NOT t.tgisinternal""",
    "policies": """
        SELECT format('%I.%I %I %s %s to %s using %s check %s', schemaname, tablename, policyname, permissive, cmd,
                      roles, qual, with_check)
        FROM pg_policies WHERE schemaname = ANY ($1)""",
    "functions": """
        SELECT pg_get_functiondef(p.oid) || ' owner ' || p.proowner::regrole::text
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = ANY ($1) AND p.prokind IN ('f', 'p')""",
    "views": """
        SELECT format('%I.%I %s', schemaname, viewname, definition)
        FROM pg_views WHERE schemaname = ANY ($1)""",
    "grants on relations": """
        SELECT format('%s %s', c.oid::regclass, item) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL unnest(c.relacl) item WHERE n.nspname = ANY ($1)""",
    "grants on columns": """
        SELECT format('%s.%I %s', c.oid::regclass, a.attname, item)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL unnest(a.attacl) item WHERE n.nspname = ANY ($1) AND NOT a.attisdropped""",
    "grants on functions": """
        SELECT format('%s %s', p.oid::regprocedure, item)
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        CROSS JOIN LATERAL unnest(p.proacl) item WHERE n.nspname = ANY ($1)""",
    "grants on schemas": """
        SELECT format('%I owner %s %s', n.nspname, n.nspowner::regrole, item) FROM pg_namespace n
        CROSS JOIN LATERAL unnest(n.nspacl) item WHERE n.nspname = ANY ($1)""",
    "sequences": """
        SELECT format('%I.%I %s start %s by %s', schemaname, sequencename, data_type, start_value, increment_by)
        FROM pg_sequences WHERE schemaname = ANY ($1)""",
    "types": """
        SELECT format('%I.%I %s', n.nspname, t.typname,
                      (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder)
                       FROM pg_enum e WHERE e.enumtypid = t.oid))
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE n.nspname = ANY ($1) AND t.typtype IN ('e', 'd')""",
}


async def catalogue(connection: Connection, *schemas: str) -> dict[str, list[str]]:
    """Everything of `schemas`, by kind, in an order that does not depend on when it was made."""
    found: dict[str, list[str]] = {}
    for kind, query in _QUERIES.items():
        rows = await connection.fetch(query, list(schemas))
        found[kind] = sorted(str(row[0]) for row in rows)
    return found
