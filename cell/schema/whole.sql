-- What a cell holds of its tenants. Every table with a tenant_id is visible to that tenant's transactions only
-- (forced row security), is guarded by the fence, and has tenant_id in each of its keys.
CREATE SCHEMA cell;
REVOKE ALL ON SCHEMA cell FROM PUBLIC;

CREATE TABLE cell.tenants (
    tenant_id    text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    display_name text        NOT NULL,
    plan         text        NOT NULL,
    state        text        NOT NULL CHECK (state IN ('active', 'suspended')),
    revision     bigint      NOT NULL CHECK (revision > 0),
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id)
);

-- Secrets are derived from key_id and the fleet's pepper; what lies here is only a keyed hash of them.
CREATE TABLE cell.api_keys (
    tenant_id    text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    key_id       text        COLLATE "C" NOT NULL,
    display_name text        NOT NULL,
    secret_hash  bytea       NOT NULL CHECK (octet_length(secret_hash) = 32),
    version      bigint      NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    revoked_at   timestamptz,
    PRIMARY KEY (tenant_id, key_id),
    UNIQUE (tenant_id, secret_hash)
);
CREATE INDEX api_keys_by_time ON cell.api_keys (tenant_id, created_at, key_id);

CREATE TABLE cell.accounts (
    tenant_id    text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    account_id   text        COLLATE "C" NOT NULL,
    display_name text        NOT NULL,
    labels       jsonb       NOT NULL DEFAULT '{}',
    version      bigint      NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, account_id)
);
CREATE INDEX accounts_by_time ON cell.accounts (tenant_id, created_at, account_id);

CREATE TABLE cell.namespaces (
    tenant_id    text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    account_id   text        COLLATE "C" NOT NULL,
    namespace_id text        COLLATE "C" NOT NULL,
    display_name text        NOT NULL,
    labels       jsonb       NOT NULL DEFAULT '{}',
    state        text        NOT NULL CHECK (state IN ('PROVISIONING', 'ACTIVE', 'DELETING', 'FAILED')),
    version      bigint      NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, account_id, namespace_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES cell.accounts (tenant_id, account_id)
);
CREATE INDEX namespaces_by_time ON cell.namespaces (tenant_id, account_id, created_at, namespace_id);

-- The parts of this cell that namespaces are spread over. Not of any tenant: occupancy counts all of them.
-- Capacity is soft: two provisionings at the same moment may exceed it by one.
CREATE TABLE cell.shards (
    shard_id  text    COLLATE "C" PRIMARY KEY,
    capacity  integer NOT NULL CHECK (capacity >= 0),
    occupancy integer NOT NULL DEFAULT 0 CHECK (occupancy >= 0)
);
INSERT INTO cell.shards (shard_id, capacity)
VALUES ('shard-1', 100000), ('shard-2', 100000), ('shard-3', 100000), ('shard-4', 100000);

-- What a namespace was given in this cell.
CREATE TABLE cell.allocations (
    tenant_id    text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    account_id   text        COLLATE "C" NOT NULL,
    namespace_id text        COLLATE "C" NOT NULL,
    shard_id     text        COLLATE "C" NOT NULL,
    settings     jsonb       NOT NULL DEFAULT '{}',
    endpoint     text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, account_id, namespace_id),
    FOREIGN KEY (tenant_id, account_id, namespace_id)
        REFERENCES cell.namespaces (tenant_id, account_id, namespace_id) ON DELETE CASCADE
);

-- Keeps occupancy true however allocations come and go: by jobs, by a tenant's deletion, by a move.
CREATE FUNCTION cell.count_allocations() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE cell.shards s SET occupancy = s.occupancy + n.count
        FROM (SELECT shard_id, count(*) FROM came GROUP BY shard_id) n WHERE s.shard_id = n.shard_id;
    ELSE
        UPDATE cell.shards s SET occupancy = s.occupancy - n.count
        FROM (SELECT shard_id, count(*) FROM went GROUP BY shard_id) n WHERE s.shard_id = n.shard_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_came AFTER INSERT ON cell.allocations
    REFERENCING NEW TABLE AS came FOR EACH STATEMENT EXECUTE FUNCTION cell.count_allocations();
CREATE TRIGGER count_went AFTER DELETE ON cell.allocations
    REFERENCING OLD TABLE AS went FOR EACH STATEMENT EXECUTE FUNCTION cell.count_allocations();
-- Also for rows that a mover brings, for whom no ordinary trigger fires.
ALTER TABLE cell.allocations ENABLE ALWAYS TRIGGER count_came;
ALTER TABLE cell.allocations ENABLE ALWAYS TRIGGER count_went;

-- Background work: one action each. This table is the truth; what lies in Redis is a hint that may be lost or doubled.
CREATE TABLE cell.jobs (
    tenant_id     text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    job_id        text        COLLATE "C" NOT NULL,
    actor         text        NOT NULL,
    args          jsonb       NOT NULL,
    lane          text        NOT NULL DEFAULT 'bulk' CHECK (lane IN ('interactive', 'bulk')),
    state         text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'dead')),
    -- Counted before each attempt: the number of its owner.
    attempts      integer     NOT NULL DEFAULT 0,
    most_attempts integer     NOT NULL DEFAULT 8,
    -- What it brings about: asked for twice, it is done once.
    effect_key    text        COLLATE "C",
    -- When somebody is to look at it next: now, when its time comes, when a lease ends; never, when it ended.
    wake_at       timestamptz DEFAULT now(),
    -- The turn that it has at its provider's.
    slot_at       timestamptz,
    last_error    text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz,
    -- At which epoch it was taken up: whoever had it before a tenant moved can commit nothing any more.
    claimed_epoch bigint,
    PRIMARY KEY (tenant_id, job_id),
    UNIQUE (tenant_id, effect_key),
    CHECK ((state IN ('waiting', 'running')) = (wake_at IS NOT NULL))
);
CREATE INDEX jobs_due ON cell.jobs (tenant_id, lane, wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX jobs_claimed ON cell.jobs (tenant_id, lane, claimed_epoch) WHERE state = 'running';
CREATE INDEX jobs_dead ON cell.jobs (tenant_id, updated_at, job_id) WHERE state = 'dead';
CREATE INDEX jobs_expired ON cell.jobs (tenant_id, expires_at) WHERE expires_at IS NOT NULL;

-- Outside parties that bear only so much of this cell, and when the next turn at each is free. Not of any tenant.
CREATE TABLE cell.providers (
    provider text        COLLATE "C" PRIMARY KEY,
    next_at  timestamptz NOT NULL
);

-- The first answer to each Idempotency-Key, written in the transaction of the work itself. No secrets in it.
CREATE TABLE cell.idempotency_keys (
    tenant_id  text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    scope      text        COLLATE "C" NOT NULL,
    key        text        COLLATE "C" NOT NULL,
    digest     bytea       NOT NULL,
    status     smallint    NOT NULL,
    headers    jsonb       NOT NULL,
    body       bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, scope, key)
);
CREATE INDEX idempotency_keys_expired ON cell.idempotency_keys (tenant_id, expires_at);

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
    lane             text        NOT NULL DEFAULT 'interactive' CHECK (lane IN ('interactive', 'bulk')),
    -- Of the workflow's steps, and how many of them are behind it: what a tenant sees of its progress.
    steps            text[]      NOT NULL DEFAULT '{}',
    steps_done       integer     NOT NULL DEFAULT 0,
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
    expires_at       timestamptz,
    -- What a tenant sees of it as an operation.
    operation_state  text        NOT NULL GENERATED ALWAYS AS (
        CASE outcome
            WHEN 'COMPLETED' THEN 'SUCCEEDED'
            WHEN 'ROLLED_BACK' THEN CASE WHEN error IS NULL THEN 'CANCELLED' ELSE 'FAILED' END
            ELSE CASE WHEN state = 'PENDING' THEN 'PENDING' ELSE 'RUNNING' END
        END) STORED,
    -- At which epoch its owner took it up.
    claimed_epoch    bigint,
    PRIMARY KEY (tenant_id, orchestration_id),
    CHECK ((outcome IS NULL) = (ended_at IS NULL)),
    CHECK (outcome IS NULL OR wake_at IS NULL)
);
CREATE INDEX orchestrations_by_time ON cell.orchestrations (tenant_id, created_at, orchestration_id);
CREATE INDEX orchestrations_in_lane ON cell.orchestrations (tenant_id, lane, wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX orchestrations_claimed ON cell.orchestrations (tenant_id, lane, claimed_epoch) WHERE leased;
CREATE INDEX orchestrations_expired ON cell.orchestrations (tenant_id, expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE cell.orchestration_steps (
    tenant_id        text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    orchestration_id text        COLLATE "C" NOT NULL,
    step             text        COLLATE "C" NOT NULL,
    status           text        NOT NULL CHECK (status IN
        ('STARTED', 'COMPLETED', 'FAILED', 'SKIPPED', 'UNDOING', 'UNDONE', 'STUCK')),
    attempts         integer     NOT NULL DEFAULT 0,
    undo_attempts    integer     NOT NULL DEFAULT 0,
    -- Attempts, forward or back, that nobody ever heard of again: their owner died.
    deaths           integer     NOT NULL DEFAULT 0,
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

-- What a tenant has paid for decides, with what else holds it, whether it is served: `state` says so to everybody.
CREATE TABLE cell.subscriptions (
    tenant_id       text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    plan            text        NOT NULL,
    standing        text        NOT NULL CHECK (standing IN ('TRIAL', 'ACTIVE', 'GRACE', 'UNPAID', 'CLOSED')),
    -- Why it is not served although it may have paid: OPERATOR, OFFBOARDING.
    blocks          text[]      NOT NULL DEFAULT '{}' CHECK (blocks <@ ARRAY['OPERATOR', 'OFFBOARDING']),
    state           text        NOT NULL GENERATED ALWAYS AS (
        CASE WHEN standing = 'CLOSED' THEN 'CLOSED'
             WHEN standing = 'UNPAID' OR cardinality(blocks) > 0 THEN 'SUSPENDED'
             ELSE standing END) STORED,
    email           text,
    trial_ends_at   timestamptz,
    -- The orchestration that waits for the trial's end, and the one that changes the subscription now.
    trial_operation text        COLLATE "C",
    changing        text        COLLATE "C",
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id)
);

-- What a party did under a key, or the tombstone of what it must never do again.
CREATE TABLE cell.party_effects (
    tenant_id  text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    party      text        COLLATE "C" NOT NULL,
    key        text        COLLATE "C" NOT NULL,
    state      text        NOT NULL CHECK (state IN ('DONE', 'UNDONE')),
    output     jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, party, key)
);

CREATE TABLE cell.organisations (
    tenant_id       text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    organisation_id text        COLLATE "C" NOT NULL,
    display_name    text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, organisation_id)
);

CREATE TABLE cell.organisation_users (
    tenant_id       text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    organisation_id text        COLLATE "C" NOT NULL,
    user_id         text        COLLATE "C" NOT NULL,
    email           text        NOT NULL,
    role            text        NOT NULL CHECK (role IN ('ADMIN')),
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, organisation_id, user_id),
    FOREIGN KEY (tenant_id, organisation_id)
        REFERENCES cell.organisations (tenant_id, organisation_id) ON DELETE CASCADE
);

CREATE TABLE cell.billing_subscriptions (
    tenant_id       text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    subscription_id text        COLLATE "C" NOT NULL,
    plan            text        NOT NULL,
    state           text        NOT NULL CHECK (state IN ('TRIAL', 'ACTIVE', 'PAUSED', 'CANCELLED')),
    -- What it was before the pause, and is again after it.
    paused_from     text,
    trial_ends_at   timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, subscription_id)
);

-- Never deleted before the tenant itself is: who was charged what must remain readable.
CREATE TABLE cell.invoices (
    tenant_id       text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    invoice_id      text        COLLATE "C" NOT NULL,
    subscription_id text        COLLATE "C" NOT NULL,
    kind            text        NOT NULL CHECK (kind IN ('FINAL')),
    state           text        NOT NULL CHECK (state IN ('ISSUED', 'VOID')),
    lines           jsonb       NOT NULL,
    issued_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, invoice_id),
    FOREIGN KEY (tenant_id, subscription_id)
        REFERENCES cell.billing_subscriptions (tenant_id, subscription_id)
);

-- KEPT: there is no mail server, and this row is the mail. WAITING: it may or may not have been sent.
CREATE TABLE cell.mails (
    tenant_id  text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    mail_key   text        COLLATE "C" NOT NULL,
    message_id text        COLLATE "C" NOT NULL,
    recipient  text        NOT NULL,
    subject    text        NOT NULL,
    body       text        NOT NULL,
    state      text        NOT NULL CHECK (state IN ('KEPT', 'WAITING', 'SENT')),
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at    timestamptz,
    PRIMARY KEY (tenant_id, mail_key)
);

-- Made in quiet times, so that nobody waits for them. Not of any tenant until one is taken. No secret lies here: an
-- encryption key is derived from its identifier.
CREATE TABLE cell.prepared_resources (
    resource_id text        COLLATE "C" PRIMARY KEY,
    kind        text        NOT NULL CHECK (kind IN ('encryption_key', 'search_attributes')),
    made_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX prepared_resources_by_kind ON cell.prepared_resources (kind, made_at);

CREATE TABLE cell.taken_resources (
    tenant_id   text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    resource_id text        COLLATE "C" NOT NULL,
    kind        text        NOT NULL,
    taken_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, resource_id)
);

-- What a customer takes along: numbered parts, each with some rows of one table; the last one has no table.
CREATE TABLE cell.exports (
    tenant_id  text        COLLATE "C" NOT NULL DEFAULT current_setting('app.tenant'),
    export_id  text        COLLATE "C" NOT NULL,
    part       integer     NOT NULL CHECK (part > 0),
    source     text,
    content    jsonb       NOT NULL,
    -- The key of its last row: the next part goes on behind it.
    last_key   text[]      NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, export_id, part)
);

-- Isolation: a transaction sees and writes the rows of its own tenant; with no tenant set, none at all.
-- The relay is the one exception: it finds work of all tenants, and can read nothing but where the work is.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tenants', 'api_keys', 'accounts', 'namespaces', 'allocations',
                                'jobs', 'idempotency_keys', 'orchestrations', 'orchestration_steps',
                                'orchestration_signals', 'namespace_storage', 'usage_records', 'usage_minutes',
                                'audit_entries', 'subscriptions', 'party_effects', 'organisations',
                                'organisation_users', 'billing_subscriptions', 'invoices', 'mails',
                                'taken_resources', 'exports'] LOOP
        EXECUTE format('ALTER TABLE cell.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE cell.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY own_rows ON cell.%I USING (tenant_id = current_setting(''app.tenant'', true)) '
                       'WITH CHECK (tenant_id = current_setting(''app.tenant'', true))', name);
        EXECUTE format('CREATE TRIGGER cellway_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON cell.%I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION cellway.guard()', name);
        EXECUTE format('ALTER TABLE cell.%I ENABLE ALWAYS TRIGGER cellway_guard', name);
        EXECUTE format('GRANT SELECT, DELETE ON cell.%I TO cell_control', name);
        -- What a moving tenant's writers change can be captured.
        PERFORM cellway.capture_table(format('cell.%I', name)::regclass, 'tenant_id');
        EXECUTE format('GRANT SELECT, INSERT, DELETE ON cell.%I TO cell_mover', name);
    END LOOP;
END
$$;
CREATE POLICY find_work ON cell.jobs FOR SELECT TO cell_relay USING (wake_at IS NOT NULL);
CREATE POLICY find_work ON cell.orchestrations FOR SELECT TO cell_relay USING (wake_at IS NOT NULL);
CREATE POLICY find_expired ON cell.idempotency_keys FOR SELECT TO cell_relay USING (expires_at <= now());
CREATE POLICY find_expired ON cell.jobs FOR SELECT TO cell_relay USING (expires_at <= now());
CREATE POLICY find_expired ON cell.orchestrations FOR SELECT TO cell_relay USING (expires_at <= now());
CREATE POLICY find_dead ON cell.jobs FOR SELECT TO cell_relay USING (state = 'dead');
CREATE POLICY find_work ON cell.namespace_storage FOR SELECT TO cell_relay USING (due_at <= now());
CREATE POLICY find_work ON cell.usage_records FOR SELECT TO cell_relay
    USING (rolled_at IS NULL OR rolled_at <= now() - interval '2 days');
CREATE POLICY find_expired ON cell.usage_minutes FOR SELECT TO cell_relay
    USING (minute <= now() - interval '400 days');
CREATE POLICY find_expired ON cell.audit_entries FOR SELECT TO cell_relay
    USING (at <= now() - interval '400 days');

-- The first statement of every request: enters the tenant's transaction, and reads what decides about the request.
-- Who is going to write shares the fence's lock from before the first look: so a decision, which excludes writers, is
-- seen by all who come later, and waits for all who came before.
CREATE FUNCTION cell.enter(tenant text, believed bigint, presented_hash bytea, writing boolean,
                           OUT epoch bigint, OUT fence_state text, OUT tenant_state text, OUT subscription_state text,
                           OUT key_id text, OUT secret_hash bytea) RETURNS record
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF writing THEN
        PERFORM pg_advisory_xact_lock_shared(cellway.lock_key(tenant));
    END IF;
    -- One after the other: the rows below are visible only once the tenant is set.
    SELECT f.epoch, f.state INTO enter.epoch, enter.fence_state FROM cellway.enter(tenant, believed) f;
    IF enter.epoch IS NULL OR enter.epoch <> believed OR enter.fence_state <> 'active' THEN
        RETURN;
    END IF;
    SELECT t.state INTO enter.tenant_state FROM cell.tenants t WHERE t.tenant_id = tenant;
    SELECT s.state INTO enter.subscription_state FROM cell.subscriptions s WHERE s.tenant_id = tenant;
    SELECT k.key_id, k.secret_hash INTO enter.key_id, enter.secret_hash FROM cell.api_keys k
    WHERE k.tenant_id = tenant AND k.secret_hash = presented_hash AND k.revoked_at IS NULL;
END
$$;

-- The first statement of work under an Idempotency-Key: whether the same request runs right now, and what it answered.
-- Lock first and look afterwards, in a statement of its own: under READ COMMITTED (and VOLATILE) that one sees what
-- the lock's last holder committed. The lock ends with the transaction, also by a crash.
CREATE FUNCTION cell.begin_idempotent(tenant text, asked_scope text, asked_key text,
                                      OUT mine boolean, OUT digest bytea, OUT status smallint,
                                      OUT headers jsonb, OUT body bytea) RETURNS record
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    begin_idempotent.mine := pg_try_advisory_xact_lock(
        hashtextextended(tenant || ' ' || asked_scope || ' ' || asked_key, 1));
    IF NOT begin_idempotent.mine THEN
        RETURN;
    END IF;
    SELECT k.digest, k.status, k.headers, k.body
    INTO begin_idempotent.digest, begin_idempotent.status, begin_idempotent.headers, begin_idempotent.body
    FROM cell.idempotency_keys k
    WHERE k.tenant_id = tenant AND k.scope = asked_scope AND k.key = asked_key AND k.expires_at > now();
END
$$;

-- The epoch at which a tenant's jobs may run here, for the relay; no row when they may not.
CREATE FUNCTION cell.running_epoch(tenant text) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT f.epoch FROM cellway.fence f WHERE f.tenant_id = tenant AND f.state = 'active' $$;

-- The tenants that are served here, in pages, with the epoch at which their rows may be changed; for the relay.
CREATE FUNCTION cell.served(after text, most integer) RETURNS TABLE (tenant_id text, epoch bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT f.tenant_id, f.epoch FROM cellway.fence f
    WHERE f.state = 'active' AND f.tenant_id > after ORDER BY f.tenant_id LIMIT most
$$;

-- How many tenants are served here.
CREATE FUNCTION cell.tenant_count() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT count(*) FROM cellway.fence f WHERE f.state = 'active' $$;

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

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA cell FROM PUBLIC;

GRANT USAGE ON SCHEMA cellway, cell TO cell_app, cell_control, cell_relay, cell_mover;
GRANT EXECUTE ON FUNCTION cellway.enter, cellway.lock_key TO cell_app, cell_control;
GRANT EXECUTE ON FUNCTION cellway.set_fence, cellway.fences, cell.tenant_count TO cell_control;
GRANT EXECUTE ON FUNCTION cell.enter, cell.begin_idempotent, cell.expire_audit TO cell_app;
GRANT EXECUTE ON FUNCTION cell.running_epoch, cell.served TO cell_relay;

GRANT SELECT ON cell.tenants, cell.shards TO cell_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON cell.api_keys, cell.accounts, cell.namespaces, cell.allocations,
    cell.jobs, cell.idempotency_keys, cell.orchestrations, cell.orchestration_steps, cell.orchestration_signals,
    cell.subscriptions, cell.billing_subscriptions, cell.mails TO cell_app;
GRANT SELECT, INSERT, UPDATE ON cell.party_effects, cell.invoices TO cell_app;
GRANT SELECT, INSERT, DELETE ON cell.organisations, cell.organisation_users, cell.taken_resources, cell.exports,
    cell.prepared_resources TO cell_app;
-- Some column must be, or no row could be locked.
GRANT UPDATE (made_at) ON cell.prepared_resources TO cell_app;
GRANT SELECT, INSERT, UPDATE ON cell.namespace_storage TO cell_app;
GRANT SELECT, INSERT, UPDATE (rolled_at), DELETE ON cell.usage_records TO cell_app;
GRANT SELECT, INSERT, UPDATE (quantity), DELETE ON cell.usage_minutes TO cell_app;
GRANT SELECT, INSERT ON cell.audit_entries TO cell_app;

GRANT SELECT, INSERT, UPDATE ON cell.providers TO cell_app;

GRANT INSERT, UPDATE ON cell.tenants, cell.api_keys TO cell_control;
GRANT UPDATE ON cell.jobs, cell.orchestrations, cell.orchestration_steps TO cell_control;
GRANT INSERT ON cell.audit_entries, cell.orchestrations TO cell_control;
GRANT UPDATE (changing, updated_at) ON cell.subscriptions TO cell_control;

GRANT SELECT (tenant_id, job_id, state, lane, wake_at, updated_at, expires_at, claimed_epoch) ON cell.jobs TO cell_relay;
GRANT SELECT (tenant_id, orchestration_id, lane, wake_at, expires_at, claimed_epoch, leased) ON cell.orchestrations
    TO cell_relay;
GRANT SELECT (tenant_id, expires_at) ON cell.idempotency_keys TO cell_relay;
GRANT SELECT (tenant_id, due_at) ON cell.namespace_storage TO cell_relay;
GRANT SELECT (tenant_id, rolled_at) ON cell.usage_records TO cell_relay;
GRANT SELECT (tenant_id, minute) ON cell.usage_minutes TO cell_relay;
GRANT SELECT (tenant_id, at) ON cell.audit_entries TO cell_relay;

GRANT SELECT ON cellway.tables TO cell_mover;
GRANT EXECUTE ON FUNCTION cellway.enter, cellway.lock_key, cellway.set_fence, cellway.take, cellway.act, cellway.note,
    cellway.forget_notes, cellway.hand_over, cellway.set_captured, cellway.logged, cellway.forget_logged,
    cellway.history, cellway.key_of, cellway.name_of, cellway.refresh_statistics TO cell_mover;
