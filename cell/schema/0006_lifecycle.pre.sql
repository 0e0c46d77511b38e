-- The life of a customer, and what parties outside remember of it while the cell itself plays them.
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

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['subscriptions', 'party_effects', 'organisations', 'organisation_users',
                                'billing_subscriptions', 'invoices', 'mails', 'taken_resources', 'exports'] LOOP
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
GRANT SELECT, INSERT, UPDATE, DELETE ON cell.subscriptions, cell.billing_subscriptions, cell.mails TO cell_app;
GRANT SELECT, INSERT, UPDATE ON cell.party_effects, cell.invoices TO cell_app;
GRANT SELECT, INSERT, DELETE ON cell.organisations, cell.organisation_users, cell.taken_resources, cell.exports,
    cell.prepared_resources TO cell_app;
-- Some column must be, or no row could be locked.
GRANT UPDATE (made_at) ON cell.prepared_resources TO cell_app;
-- What a customer leaves behind is deleted by the worker that carries out its leaving.
GRANT DELETE ON cell.api_keys TO cell_app;

-- The control contract begins orchestrations; workers carry them out.
GRANT INSERT ON cell.orchestrations TO cell_control;
GRANT UPDATE (changing, updated_at) ON cell.subscriptions TO cell_control;

-- Once more as before, and with the state of the subscription.
DROP FUNCTION cell.enter(text, bigint, bytea, boolean);
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
REVOKE EXECUTE ON FUNCTION cell.enter FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cell.enter TO cell_app;
