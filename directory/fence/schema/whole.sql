-- The whole schema as it is now, for reading; a database goes through the numbered upgrades instead.
-- The fence, the guard that every tenant table carries, and the functions by which the control plane moves it.
CREATE SCHEMA cellway;
REVOKE ALL ON SCHEMA cellway FROM PUBLIC;

CREATE TABLE cellway.fence (
    tenant_id  text        COLLATE "C" PRIMARY KEY CHECK (tenant_id <> ''),
    epoch      bigint      NOT NULL CHECK (epoch > 0),
    state      text        NOT NULL CHECK (state IN ('active', 'importing', 'fenced', 'moved')),
    move_id    text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- Whether what the tenant's writers change is logged: switched under the lock below.
    captured   boolean     NOT NULL DEFAULT false
);
ALTER TABLE cellway.fence ENABLE ROW LEVEL SECURITY;
ALTER TABLE cellway.fence FORCE ROW LEVEL SECURITY;
-- Only the functions below, which run as this owner, see more than one tenant's row.
CREATE POLICY fence_owner ON cellway.fence TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY fence_own_row ON cellway.fence FOR SELECT
    USING (tenant_id = current_setting('app.tenant', true));

-- Which tables belong to tenants, and by which column. `bound`: writers say whose rows they write (app.tenant);
-- otherwise the rows say it.
CREATE TABLE cellway.tables (
    relation      text    COLLATE "C" PRIMARY KEY,
    tenant_column name    NOT NULL,
    bound         boolean NOT NULL
);

-- `token`: of the mover that carries it now; one with a lower token is late, and does nothing here any more.
-- `snapshot`: at a destination: the rows equal the source's at this snapshot.
CREATE TABLE cellway.moves (
    move_id    text        COLLATE "C" PRIMARY KEY,
    tenant_id  text        COLLATE "C" NOT NULL,
    token      bigint      NOT NULL,
    snapshot   text,
    progress   jsonb       NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- The highest token that was forgotten. Tokens only grow, so who comes with a lower one, for a move that is not known
-- here, is late.
CREATE TABLE cellway.forgotten (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    token bigint  NOT NULL DEFAULT 0
);
INSERT INTO cellway.forgotten DEFAULT VALUES;

-- Keys that were written, by transaction. What a later snapshot sees and an earlier one does not is read again
-- there: the order of these rows means nothing. A key that is null: any row of the tenant in that table.
CREATE TABLE cellway.log (
    tenant_id text   COLLATE "C" NOT NULL,
    xid       xid8   NOT NULL DEFAULT pg_current_xact_id(),
    relation  text   COLLATE "C" NOT NULL,
    key       text[]
);
CREATE INDEX log_by_transaction ON cellway.log (tenant_id, xid);

ALTER TABLE cellway.moves ENABLE ROW LEVEL SECURITY;
ALTER TABLE cellway.moves FORCE ROW LEVEL SECURITY;
ALTER TABLE cellway.log ENABLE ROW LEVEL SECURITY;
ALTER TABLE cellway.log FORCE ROW LEVEL SECURITY;
ALTER TABLE cellway.forgotten ENABLE ROW LEVEL SECURITY;
ALTER TABLE cellway.forgotten FORCE ROW LEVEL SECURITY;
-- Nobody sees them but through the functions below, which run as this owner.
CREATE POLICY moves_owner ON cellway.moves TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY log_owner ON cellway.log TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY forgotten_owner ON cellway.forgotten TO CURRENT_USER USING (true) WITH CHECK (true);

-- The lock that orders writers against a flip of the fence: writers share it until they commit, a flip excludes them.
CREATE FUNCTION cellway.lock_key(tenant text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT hashtextextended('fence:' || tenant, 0) $$;

-- Whether this session is the mover for whom the fence is held in this state.
CREATE FUNCTION cellway.is_mover(at_state text, at_move text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(at_state IN ('importing', 'moved') AND at_move = current_setting('app.move', true), false)
           AND has_function_privilege(session_user, 'cellway.act(text, bigint)', 'EXECUTE')
$$;

-- Refuses a statement unless this database may write for the session's tenant at the session's epoch.
-- READ COMMITTED takes a fresh snapshot for the look at the fence, after the lock, so a plain read is current.
-- Higher levels keep their old snapshot; there FOR SHARE makes a flip since then a serialization failure.
-- Tells capture of the tenant whose writes are captured, and takes back what it told of another one in the same
-- transaction. TRUNCATE would take other tenants' rows along, and tells nobody whose.
CREATE FUNCTION cellway.guard() RETURNS trigger
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

-- The first statement of every request's transaction: binds tenant and epoch to the transaction, and says what
-- the fence knows. No row: this tenant has never been here.
CREATE FUNCTION cellway.enter(tenant text, believed bigint, OUT epoch bigint, OUT state text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('app.tenant', tenant, true), set_config('app.epoch', believed::text, true);
    SELECT f.epoch, f.state INTO enter.epoch, enter.state FROM cellway.fence f WHERE f.tenant_id = tenant;
END
$$;

-- Moves the fence by a decision that is recorded elsewhere. The same decision again does nothing; an older one is
-- refused, so a late messenger is harmless.
-- Closing waits for the tenant's writers (the caller sets lock_timeout); what was moving waits for its mover too.
-- Opening what is open or fenced waits for nobody, because it excludes nobody. A writer that was admitted at an older
-- epoch that is open still (a switch gave up before its fence) writes rows that stay here and are captured as
-- before, and whoever closes the fence next waits for it as for any other. At a fence that is closed nobody was
-- admitted, only refused. With the lock, one transaction that does not end would keep a tenant closed that is
-- decided to live here. (Above READ COMMITTED a writer holds the fence's row, and is waited for nevertheless.)
CREATE FUNCTION cellway.set_fence(tenant text, new_epoch bigint, new_state text, new_move_id text)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known bigint;
BEGIN
    IF new_state = 'active' THEN
        UPDATE cellway.fence f
        SET epoch = new_epoch, state = new_state, move_id = new_move_id, updated_at = now()
        WHERE f.tenant_id = tenant AND f.epoch < new_epoch AND f.state IN ('active', 'fenced');
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    PERFORM pg_advisory_xact_lock(cellway.lock_key(tenant));
    INSERT INTO cellway.fence AS f (tenant_id, epoch, state, move_id)
    VALUES (tenant, new_epoch, new_state, new_move_id)
    ON CONFLICT (tenant_id) DO UPDATE
        SET epoch = excluded.epoch, state = excluded.state, move_id = excluded.move_id, updated_at = now()
        WHERE f.epoch < excluded.epoch
           OR (f.epoch = excluded.epoch AND f.state = excluded.state
               AND f.move_id IS NOT DISTINCT FROM excluded.move_id);
    IF NOT FOUND THEN
        SELECT f.epoch INTO known FROM cellway.fence f WHERE f.tenant_id = tenant;
        RAISE EXCEPTION 'a later decision is known' USING ERRCODE = 'CW002', DETAIL = known::text;
    END IF;
END
$$;

-- For comparing with the directory.
CREATE FUNCTION cellway.fences(after text, most integer)
    RETURNS TABLE (tenant_id text, epoch bigint, state text, move_id text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT f.tenant_id, f.epoch, f.state, f.move_id FROM cellway.fence f
    WHERE f.tenant_id > after ORDER BY f.tenant_id LIMIT most
$$;

-- The guard of services that bind nothing: refuses unless this database may write for all of these tenants.
-- Returns those whose writes are captured.
CREATE FUNCTION cellway.admit(tenants text[]) RETURNS text[]
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenant   text;
    seen     record;
    captured text[] := '{}';
BEGIN
    FOREACH tenant IN ARRAY tenants LOOP
        PERFORM pg_advisory_xact_lock_shared(cellway.lock_key(tenant));
        IF current_setting('transaction_isolation') = 'read committed' THEN
            SELECT f.epoch, f.state, f.move_id, f.captured INTO seen
            FROM cellway.fence f WHERE f.tenant_id = tenant;
        ELSE
            SELECT f.epoch, f.state, f.move_id, f.captured INTO seen
            FROM cellway.fence f WHERE f.tenant_id = tenant FOR SHARE;
        END IF;
        IF seen.state IS DISTINCT FROM 'active' THEN
            IF NOT cellway.is_mover(seen.state, seen.move_id) THEN
                RAISE EXCEPTION 'the fence refuses a write'
                    USING ERRCODE = 'CW001', DETAIL = coalesce(seen.epoch, 0)::text;
            END IF;
        ELSIF seen.captured THEN
            captured := captured || tenant;
        END IF;
    END LOOP;
    RETURN captured;
END
$$;

-- What tells one row of a table from all others, in the index's order: the primary key, else the shortest unique
-- index without nulls. Null: nothing does.
CREATE FUNCTION cellway.key_of(relation regclass) RETURNS name[]
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(a.attname ORDER BY k.place)
    FROM (SELECT i.indexrelid, i.indrelid, i.indkey FROM pg_index i
          WHERE i.indrelid = key_of.relation AND i.indisunique AND i.indisvalid AND i.indimmediate
            AND i.indpred IS NULL AND i.indexprs IS NULL
            AND NOT EXISTS (SELECT FROM pg_attribute n, unnest(i.indkey[0:i.indnkeyatts - 1]) c(number)
                            WHERE n.attrelid = i.indrelid AND n.attnum = c.number AND NOT n.attnotnull)
          ORDER BY NOT i.indisprimary, i.indnkeyatts, i.indexrelid::regclass::text LIMIT 1) chosen
    JOIN pg_index i ON i.indexrelid = chosen.indexrelid
    CROSS JOIN unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(number, place)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
$$;

-- A relation's full name as log and tables have it.
CREATE FUNCTION cellway.name_of(relation regclass) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = relation
$$;

-- The function of a table's triggers is called so; long names are cut, and told apart by what they were cut from.
CREATE FUNCTION cellway.capture_name(relation regclass) RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN octet_length(said) <= 63 THEN said ELSE left(said, 20) || ' ' || md5(said) END
    FROM (SELECT 'capture ' || cellway.name_of(relation) AS said) named
$$;

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
CREATE FUNCTION cellway.capture_table(relation regclass, tenant_column name) RETURNS void
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
CREATE FUNCTION cellway.adopt_table(relation regclass, tenant_column name) RETURNS void
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

-- Takes capture away again, and what `adopt_table` put there; a guard that was there before stays.
CREATE FUNCTION cellway.release_table(relation regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    said text := cellway.name_of(relation);
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['cellway_capture_insert', 'cellway_capture_update', 'cellway_capture_delete',
                                'cellway_truncate'] LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', name, said);
    END LOOP;
    EXECUTE format('DROP FUNCTION IF EXISTS cellway.%I()', cellway.capture_name(relation));
    DELETE FROM cellway.tables t WHERE t.relation = said;
END
$$;

-- Orders a mover's transactions against its successor's taking over: they share it until they end.
CREATE FUNCTION cellway.move_key(move text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT hashtextextended('move:' || move, 0) $$;

-- A mover takes a move up: from then on those with a lower token are refused, and those that were at work have
-- ended (the caller sets lock_timeout). Says how far the rows are. READ COMMITTED, so that each look is taken after
-- the lock.
-- One that is new here makes room for itself: a few are forgotten that nobody has taken up for 90 days, but not while
-- the fence is held for them, or rows arrive that they may have left. Each with its lock, so that whoever comes for it
-- sees it, or else the token that is kept. Who stands still meanwhile hinders nobody.
CREATE FUNCTION cellway.take(
    move text, tenant text, new_token bigint, OUT snapshot text, OUT progress jsonb
) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    late    bigint;
    old     text;
    went    bigint;
    highest bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(cellway.move_key(move));
    UPDATE cellway.moves m SET token = new_token, updated_at = now()
    WHERE m.move_id = move AND m.token <= new_token AND m.tenant_id = tenant
    RETURNING m.snapshot, m.progress INTO take.snapshot, take.progress;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT f.token INTO late FROM cellway.forgotten f;
    INSERT INTO cellway.moves AS m (move_id, tenant_id, token)
    SELECT move, tenant, new_token
    WHERE new_token > late AND current_setting('transaction_isolation') = 'read committed'
    ON CONFLICT (move_id) DO NOTHING
    RETURNING m.snapshot, m.progress INTO take.snapshot, take.progress;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a later mover is known' USING ERRCODE = 'CW003',
            DETAIL = coalesce((SELECT m.token FROM cellway.moves m WHERE m.move_id = move), late)::text;
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('forgetting moves', 0)) THEN
        RETURN;
    END IF;
    FOR old IN
        SELECT o.move_id FROM cellway.moves o
        WHERE o.updated_at < now() - interval '90 days'
          AND NOT EXISTS (SELECT FROM cellway.fence f
                          WHERE f.tenant_id = o.tenant_id AND (f.move_id = o.move_id OR f.state = 'importing'))
        LIMIT 20
    LOOP
        IF pg_try_advisory_xact_lock(cellway.move_key(old)) THEN
            DELETE FROM cellway.moves o WHERE o.move_id = old AND o.updated_at < now() - interval '90 days'
            RETURNING o.token INTO went;
            highest := greatest(highest, went);
        END IF;
    END LOOP;
    UPDATE cellway.forgotten f SET token = highest WHERE f.token < highest;
END
$$;

-- The first statement of each transaction in which a mover writes: shares the move's lock to its end, and refuses
-- whoever does not carry the move now. READ COMMITTED, so that the look is taken after the lock.
CREATE FUNCTION cellway.act(move text, believed bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known  bigint;
    tenant text;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(cellway.move_key(move));
    SELECT m.token, m.tenant_id INTO known, tenant FROM cellway.moves m WHERE m.move_id = move;
    IF known IS DISTINCT FROM believed OR current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a later mover is known' USING ERRCODE = 'CW003', DETAIL = coalesce(known, 0)::text;
    END IF;
    PERFORM set_config('app.tenant', tenant, true), set_config('app.epoch', '', true),
            set_config('app.move', move, true);
END
$$;

-- Keeps how far the rows are, in the transaction that brings them. Null: as it was. Progress is merged.
CREATE FUNCTION cellway.note(move text, believed bigint, new_snapshot text, more jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE cellway.moves m
    SET snapshot = coalesce(new_snapshot, m.snapshot), progress = m.progress || coalesce(more, '{}'),
        updated_at = now()
    WHERE m.move_id = move AND m.token = believed;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a later mover is known' USING ERRCODE = 'CW003', DETAIL = '0';
    END IF;
END
$$;

-- Forgets how far the rows are: they are to be copied again.
CREATE FUNCTION cellway.forget_notes(move text, believed bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE cellway.moves m SET snapshot = NULL, progress = '{}', updated_at = now()
    WHERE m.move_id = move AND m.token = believed;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a later mover is known' USING ERRCODE = 'CW003', DETAIL = '0';
    END IF;
END
$$;

-- The rows that one move left here are another's from now on, as far as they are: of the move that `act` began this
-- transaction for. Whatever wrote for the other one has ended, because the fence is no longer held for it.
CREATE FUNCTION cellway.hand_over(from_move text, to_move text, more jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('app.move') NOT IN (from_move, to_move) THEN
        RAISE EXCEPTION 'neither of these moves is carried here' USING ERRCODE = 'CW003', DETAIL = '0';
    END IF;
    UPDATE cellway.moves t
    SET snapshot = coalesce(f.snapshot, '3:3:'), progress = t.progress || more, updated_at = now()
    FROM cellway.moves f
    WHERE t.move_id = to_move AND f.move_id = from_move AND f.tenant_id = t.tenant_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'move % left nothing here', from_move USING ERRCODE = 'CW004';
    END IF;
END
$$;

-- Switches capture for the tenant of a transaction that `act` began. Waits for the tenant's writers (the caller sets
-- lock_timeout): a snapshot that is taken once this is committed sees everything that was not captured.
CREATE FUNCTION cellway.set_captured(wanted boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenant text := current_setting('app.tenant');
BEGIN
    PERFORM pg_advisory_xact_lock(cellway.lock_key(tenant));
    UPDATE cellway.fence f SET captured = wanted, updated_at = now()
    WHERE f.tenant_id = tenant AND f.captured <> wanted;
END
$$;

-- What was written between a snapshot and the caller's own. By transaction, and never by the order in which it was
-- logged: who logs first may commit last.
CREATE FUNCTION cellway.logged(tenant text, since text) RETURNS TABLE (relation text, key text[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT DISTINCT l.relation, l.key FROM cellway.log l
    WHERE l.tenant_id = tenant AND l.xid >= pg_snapshot_xmin(since::pg_snapshot)
      AND NOT pg_visible_in_snapshot(l.xid, since::pg_snapshot)
$$;

-- Removes what a snapshot sees: a later one will never ask for it again. Returns how many went, at most `most`.
CREATE FUNCTION cellway.forget_logged(tenant text, seen text, most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    went integer;
BEGIN
    DELETE FROM cellway.log l
    WHERE l.ctid = ANY (ARRAY(SELECT o.ctid FROM cellway.log o
                              WHERE o.tenant_id = tenant AND o.xid < pg_snapshot_xmax(seen::pg_snapshot)
                                AND pg_visible_in_snapshot(o.xid, seen::pg_snapshot) LIMIT most));
    GET DIAGNOSTICS went = ROW_COUNT;
    RETURN went;
END
$$;

-- Whose history this is: numbers of transactions mean nothing in that of another server, or after a fail-over.
CREATE FUNCTION cellway.history() RETURNS text
    LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT (SELECT system_identifier FROM pg_control_system())::text
           || ':' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
$$;

-- Has the planner know of a table as it is now: whoever has brought many rows of a tenant asks for it. Nothing is waited
-- for, as whoever holds the table so does the same.
CREATE FUNCTION cellway.refresh_statistics(captured text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM cellway.tables t WHERE t.relation = captured) THEN
        EXECUTE 'ANALYZE (SKIP_LOCKED) ' || to_regclass(captured);
    END IF;
END
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA cellway FROM PUBLIC;
