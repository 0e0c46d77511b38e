-- What tenants use, and who changed what: storage beside each namespace, usage as records and minutes, the audit log.

-- What a namespace holds, from the moment in which it was provisioned. due_at: the beginning of the first of its
-- hours that was not counted yet.
CREATE TABLE cell.namespace_storage (
    tenant_id    text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    account_id   text        COLLATE "C" NOT NULL,
    namespace_id text        COLLATE "C" NOT NULL,
    bytes        bigint      NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    version      bigint      NOT NULL DEFAULT 1,
    due_at       timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, account_id, namespace_id),
    FOREIGN KEY (tenant_id, account_id, namespace_id)
        REFERENCES cell.namespaces (tenant_id, account_id, namespace_id) ON DELETE CASCADE
);
CREATE INDEX namespace_storage_due ON cell.namespace_storage (tenant_id, due_at);

-- One row for each thing that counts, written in the transaction that does it. The key says what was done: to say it
-- again changes nothing, also for two days after it went into its minute.
CREATE TABLE cell.usage_records (
    tenant_id  text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    meter      text        COLLATE "C" NOT NULL,
    record_key text        COLLATE "C" NOT NULL,
    quantity   bigint      NOT NULL CHECK (quantity > 0),
    at         timestamptz NOT NULL DEFAULT now(),
    rolled_at  timestamptz,
    PRIMARY KEY (tenant_id, meter, record_key)
);
CREATE INDEX usage_records_rolled ON cell.usage_records (tenant_id, rolled_at);

-- The sums of records, by minute: kept for 400 days.
CREATE TABLE cell.usage_minutes (
    tenant_id text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    meter     text        COLLATE "C" NOT NULL,
    minute    timestamptz NOT NULL,
    quantity  numeric     NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (tenant_id, meter, minute)
);
CREATE INDEX usage_minutes_by_time ON cell.usage_minutes (tenant_id, minute);

-- Who changed what, kept for 400 days. Identifiers sort by time. No program may change an entry.
CREATE TABLE cell.audit_entries (
    tenant_id  text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    entry_id   text        COLLATE "C" NOT NULL,
    at         timestamptz NOT NULL,
    actor      text        COLLATE "C" NOT NULL,
    action     text        COLLATE "C" NOT NULL,
    target     text        COLLATE "C" NOT NULL,
    before     jsonb,
    after      jsonb,
    request_id text,
    PRIMARY KEY (tenant_id, entry_id)
);
CREATE INDEX audit_entries_by_time ON cell.audit_entries (tenant_id, at, entry_id);
CREATE INDEX audit_entries_by_target ON cell.audit_entries (tenant_id, target, at);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['namespace_storage', 'usage_records', 'usage_minutes', 'audit_entries'] LOOP
        EXECUTE format('ALTER TABLE cell.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE cell.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON cell.%I USING (tenant_id = current_setting(''app.tenant'', true)) '
                       'WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', name);
        EXECUTE format('CREATE TRIGGER cellway_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON cell.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION cellway.guard()', name);
        EXECUTE format('ALTER TABLE cell.%I ENABLE ALWAYS TRIGGER cellway_guard', name);
        EXECUTE format('GRANT SELECT, DELETE ON cell.%I TO cell_control', name);
    END LOOP;
END
$$;
CREATE POLICY find_work ON cell.namespace_storage FOR SELECT TO cell_relay USING (due_at <= now());
CREATE POLICY find_work ON cell.usage_records FOR SELECT TO cell_relay
    USING (rolled_at IS NULL OR rolled_at <= now() - interval '2 days');
CREATE POLICY find_expired ON cell.usage_minutes FOR SELECT TO cell_relay
    USING (minute <= now() - interval '400 days');
CREATE POLICY find_expired ON cell.audit_entries FOR SELECT TO cell_relay
    USING (at <= now() - interval '400 days');

-- Removes entries of the tenant that was entered, old enough ones alone: who serves tenants has no other way.
CREATE FUNCTION cell.expire_audit(most integer) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH gone AS (
        DELETE FROM cell.audit_entries WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM cell.audit_entries
            WHERE tenant_id = current_setting('app.tenant', true) AND at <= now() - interval '400 days'
            ORDER BY at LIMIT most FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
REVOKE EXECUTE ON FUNCTION cell.expire_audit FROM PUBLIC;

GRANT EXECUTE ON FUNCTION cell.expire_audit TO cell_app;
GRANT SELECT, INSERT, UPDATE ON cell.namespace_storage TO cell_app;
GRANT SELECT, INSERT, UPDATE (rolled_at), DELETE ON cell.usage_records TO cell_app;
GRANT SELECT, INSERT, UPDATE (quantity), DELETE ON cell.usage_minutes TO cell_app;
GRANT SELECT, INSERT ON cell.audit_entries TO cell_app;

GRANT INSERT ON cell.audit_entries TO cell_control;

GRANT SELECT (tenant_id, due_at) ON cell.namespace_storage TO cell_relay;
GRANT SELECT (tenant_id, rolled_at) ON cell.usage_records TO cell_relay;
GRANT SELECT (tenant_id, minute) ON cell.usage_minutes TO cell_relay;
GRANT SELECT (tenant_id, at) ON cell.audit_entries TO cell_relay;
