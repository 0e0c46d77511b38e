-- Capture by rows where writers say whose they write: tables with triggers on rows pay for no copies of what came and
-- went, neither here nor where a move brings rows. The log is what it was, so moves under way go on.
-- As before; and takes back what it told capture of another tenant in the same transaction.
CREATE OR REPLACE FUNCTION cellway.guard() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenant      text := coalesce(current_setting('app.tenant', true), '');
    believed    text := coalesce(nullif(current_setting('app.epoch', true), ''), '0');
    known       bigint;
    at_state    text;
    at_move     text;
    is_captured boolean;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'this table is shared by tenants: delete the rows of one' USING ERRCODE = '0A000';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(cellway.lock_key(tenant));
    IF current_setting('transaction_isolation') = 'read committed' THEN
        SELECT f.epoch, f.state, f.move_id, f.captured INTO known, at_state, at_move, is_captured
        FROM cellway.fence f WHERE f.tenant_id = tenant;
    ELSE
        SELECT f.epoch, f.state, f.move_id, f.captured INTO known, at_state, at_move, is_captured
        FROM cellway.fence f WHERE f.tenant_id = tenant FOR SHARE;
    END IF;
    IF known IS NULL OR at_state <> 'active' OR known <> believed::bigint THEN
        IF NOT cellway.is_mover(at_state, at_move) THEN
            RAISE EXCEPTION 'the fence refuses a write' USING ERRCODE = 'CW001', DETAIL = coalesce(known, 0)::text;
        END IF;
        is_captured := false;
    END IF;
    IF is_captured THEN
        PERFORM set_config('cellway.captured', tenant, true);
    ELSIF current_setting('cellway.captured', true) <> '' THEN
        PERFORM set_config('cellway.captured', '', true);
    END IF;
    RETURN NULL;
END
$$;

DROP FUNCTION cellway.install_capture(regclass, name, boolean);

-- SQL for a row's key as the log has it; `prefix`: what stands before each column. No key: null.
CREATE FUNCTION cellway.key_text(relation regclass, prefix text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce('ARRAY[' || string_agg(format('%s%I::text', prefix, c.name), ', ' ORDER BY c.place) || ']',
                    'NULL::text[]')
    FROM unnest(cellway.key_of(relation)) WITH ORDINALITY c(name, place)
$$;

-- Settings under which keys are written alike whatever the writer's are; the cheap types look the same under all.
CREATE FUNCTION cellway.key_settings(relation regclass) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = relation AND a.attname = ANY (cellway.key_of(relation))
        AND a.atttypid NOT IN ('text'::regtype, 'varchar'::regtype, 'uuid'::regtype, 'int8'::regtype,
                               'int4'::regtype, 'int2'::regtype, 'bool'::regtype))
    THEN 'SET datestyle = ''ISO, YMD'' SET timezone = ''UTC'' SET intervalstyle = ''postgres'' '
         'SET extra_float_digits = 1 SET bytea_output = ''hex'' SET lc_monetary = ''C'''
    ELSE '' END
$$;

-- A table's function and one of its triggers. ENABLE ALWAYS, so that a replication role does not slip past it.
-- Replacing what is there waits for writers, and not for readers.
CREATE FUNCTION cellway.put_capture_function(relation regclass, body text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    called text := cellway.capture_name(relation);
BEGIN
    EXECUTE format('CREATE OR REPLACE FUNCTION cellway.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER '
                   'SET search_path = pg_catalog, pg_temp %s AS %L', called, cellway.key_settings(relation), body);
    EXECUTE format('REVOKE EXECUTE ON FUNCTION cellway.%I() FROM PUBLIC', called);
END
$$;

CREATE FUNCTION cellway.put_capture(relation regclass, event text, how text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    said text := cellway.name_of(relation);
BEGIN
    EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s %s EXECUTE FUNCTION cellway.%I()',
                   'cellway_capture_' || event, event, said, how, cellway.capture_name(relation));
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', said, 'cellway_capture_' || event);
END
$$;

-- Capture on a table with the guard, whose writers bind their tenant. Run by its owner; again: anew. The guard has
-- said before, in the same statement, whether the tenant is captured. Only the condition asks that, when a row is
-- written: by the time that the function runs, others' triggers may have written for somebody else. The shorter the
-- condition, the less those pay whom it does not concern: it is parsed for each statement.
CREATE OR REPLACE FUNCTION cellway.capture_table(relation regclass, tenant_column name) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $make$
DECLARE
    said  text := cellway.name_of(relation);
    event text;
BEGIN
    PERFORM cellway.put_capture_function(relation, format($f$
DECLARE
    went text[];
    came text[];
BEGIN
    IF TG_OP <> 'INSERT' AND old.%1$I IS NOT NULL THEN
        went := %3$s;
        INSERT INTO cellway.log (tenant_id, relation, key) VALUES (old.%1$I::text, %2$L, went);
    END IF;
    IF TG_OP <> 'DELETE' AND new.%1$I IS NOT NULL THEN
        came := %4$s;
        IF TG_OP = 'INSERT' OR came IS DISTINCT FROM went OR new.%1$I::text IS DISTINCT FROM old.%1$I::text THEN
            INSERT INTO cellway.log (tenant_id, relation, key) VALUES (new.%1$I::text, %2$L, came);
        END IF;
    END IF;
    RETURN NULL;
END
$f$, tenant_column, said, cellway.key_text(relation, 'old.'), cellway.key_text(relation, 'new.')));
    FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete'] LOOP
        PERFORM cellway.put_capture(relation, event,
                                    'FOR EACH ROW WHEN (current_setting(''cellway.captured'', true) <> '''')');
    END LOOP;
    INSERT INTO cellway.tables AS t (relation, tenant_column, bound) VALUES (said, tenant_column, true)
    ON CONFLICT ON CONSTRAINT tables_pkey DO UPDATE SET tenant_column = excluded.tenant_column, bound = true;
END
$make$;

-- For a table of a service that binds nothing: guard and capture at once, by the tenants that the rows of a statement
-- name. Its columns may be called as anything, so what is ours has a label.
CREATE OR REPLACE FUNCTION cellway.adopt_table(relation regclass, tenant_column name) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $make$
DECLARE
    said text := cellway.name_of(relation);
BEGIN
    PERFORM cellway.put_capture_function(relation, format($f$
#variable_conflict use_column
<<ours>>
DECLARE
    tenants  text[];
    captured text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        tenants := ARRAY(SELECT DISTINCT %1$I::text FROM came WHERE %1$I IS NOT NULL);
    ELSIF TG_OP = 'DELETE' THEN
        tenants := ARRAY(SELECT DISTINCT %1$I::text FROM went WHERE %1$I IS NOT NULL);
    ELSE
        tenants := ARRAY(SELECT %1$I::text FROM came WHERE %1$I IS NOT NULL
                         UNION SELECT %1$I::text FROM went WHERE %1$I IS NOT NULL);
    END IF;
    captured := cellway.admit(ours.tenants);
    IF captured = '{}' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO cellway.log (tenant_id, relation, key)
        SELECT DISTINCT %1$I::text, %2$L, %3$s FROM came WHERE %1$I::text = ANY (ours.captured);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO cellway.log (tenant_id, relation, key)
        SELECT DISTINCT %1$I::text, %2$L, %3$s FROM went WHERE %1$I::text = ANY (ours.captured);
    ELSE
        INSERT INTO cellway.log (tenant_id, relation, key)
        SELECT %1$I::text, %2$L, %3$s FROM came WHERE %1$I::text = ANY (ours.captured)
        UNION SELECT %1$I::text, %2$L, %3$s FROM went WHERE %1$I::text = ANY (ours.captured);
    END IF;
    RETURN NULL;
END
$f$, tenant_column, said, cellway.key_text(relation, '')));
    PERFORM cellway.put_capture(relation, 'insert', 'REFERENCING NEW TABLE AS came FOR EACH STATEMENT');
    PERFORM cellway.put_capture(relation, 'update',
                                'REFERENCING NEW TABLE AS came OLD TABLE AS went FOR EACH STATEMENT');
    PERFORM cellway.put_capture(relation, 'delete', 'REFERENCING OLD TABLE AS went FOR EACH STATEMENT');
    EXECUTE format('CREATE OR REPLACE TRIGGER cellway_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT '
                   'EXECUTE FUNCTION cellway.guard()', said);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER cellway_truncate', said);
    INSERT INTO cellway.tables AS t (relation, tenant_column, bound) VALUES (said, tenant_column, false)
    ON CONFLICT ON CONSTRAINT tables_pkey DO UPDATE SET tenant_column = excluded.tenant_column, bound = false;
END
$make$;

-- New functions may be called by all, unless they are told otherwise.
REVOKE EXECUTE ON FUNCTION cellway.key_text(regclass, text), cellway.key_settings(regclass),
    cellway.put_capture_function(regclass, text), cellway.put_capture(regclass, text, text) FROM PUBLIC;

DO $$
DECLARE
    known record;
BEGIN
    FOR known IN SELECT t.relation::regclass AS relation, t.tenant_column, t.bound FROM cellway.tables t
                 ORDER BY t.relation LOOP
        IF known.bound THEN
            PERFORM cellway.capture_table(known.relation, known.tenant_column);
        ELSE
            PERFORM cellway.adopt_table(known.relation, known.tenant_column);
        END IF;
    END LOOP;
END
$$;
