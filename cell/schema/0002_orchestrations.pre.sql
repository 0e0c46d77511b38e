-- Sagas: what is done in several steps, each of which may have to be undone. Both tables read as an audit trail.
CREATE TABLE cell.orchestrations (
    tenant_id        text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    orchestration_id text        COLLATE "C" NOT NULL,
    workflow         text        NOT NULL,
    version          integer     NOT NULL CHECK (version > 0),
    target           text        NOT NULL,
    state            text        NOT NULL,
    outcome          text        CHECK (outcome IN ('COMPLETED', 'ROLLED_BACK')),
    payload          jsonb       NOT NULL,
    cancel_requested boolean     NOT NULL DEFAULT false,
    error            jsonb,
    priority         smallint    NOT NULL DEFAULT 0,
    -- When somebody is to look at it next: now, when a lease ends, when a timer fires; never, when it ended or waits
    -- for a person.
    wake_at          timestamptz DEFAULT now(),
    leased           boolean     NOT NULL DEFAULT false,
    -- Counts owners: who has lost the lease matches no row any more.
    fencing          bigint      NOT NULL DEFAULT 0,
    -- Counts what came from outside (signals, cancellations, operators), so that none of it is slept through.
    nudges           bigint      NOT NULL DEFAULT 0,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    ended_at         timestamptz,
    PRIMARY KEY (tenant_id, orchestration_id),
    CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CHECK (outcome IS NULL OR wake_at IS NULL)
);
CREATE INDEX orchestrations_by_time ON cell.orchestrations (tenant_id, created_at, orchestration_id);
CREATE INDEX orchestrations_due ON cell.orchestrations (tenant_id, wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE cell.orchestration_steps (
    tenant_id        text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    orchestration_id text        COLLATE "C" NOT NULL,
    step             text        COLLATE "C" NOT NULL,
    status           text        NOT NULL CHECK (status IN
        ('STARTED', 'COMPLETED', 'FAILED', 'SKIPPED', 'UNDOING', 'UNDONE', 'STUCK')),
    attempts         integer     NOT NULL DEFAULT 0,
    undo_attempts    integer     NOT NULL DEFAULT 0,
    -- Not before: the next attempt, or the time that a timer waits for.
    wake_at          timestamptz,
    output           jsonb,
    error            jsonb,
    begun_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at         timestamptz,
    PRIMARY KEY (tenant_id, orchestration_id, step),
    FOREIGN KEY (tenant_id, orchestration_id)
        REFERENCES cell.orchestrations (tenant_id, orchestration_id) ON DELETE CASCADE
);

CREATE TABLE cell.orchestration_signals (
    tenant_id        text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    orchestration_id text        COLLATE "C" NOT NULL,
    name             text        COLLATE "C" NOT NULL,
    payload          jsonb       NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, orchestration_id, name),
    FOREIGN KEY (tenant_id, orchestration_id)
        REFERENCES cell.orchestrations (tenant_id, orchestration_id) ON DELETE CASCADE
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['orchestrations', 'orchestration_steps', 'orchestration_signals'] LOOP
        EXECUTE format('ALTER TABLE cell.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE cell.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON cell.%I USING (tenant_id = current_setting(''app.tenant'', true)) '
                       'WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', name);
        EXECUTE format('CREATE TRIGGER cellway_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON cell.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION cellway.guard()', name);
        EXECUTE format('ALTER TABLE cell.%I ENABLE ALWAYS TRIGGER cellway_guard', name);
        EXECUTE format('GRANT SELECT, DELETE ON cell.%I TO cell_control', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON cell.%I TO cell_app', name);
    END LOOP;
END
$$;
CREATE POLICY find_work ON cell.orchestrations FOR SELECT TO cell_relay USING (wake_at IS NOT NULL);
GRANT SELECT (tenant_id, orchestration_id, priority, wake_at) ON cell.orchestrations TO cell_relay;
