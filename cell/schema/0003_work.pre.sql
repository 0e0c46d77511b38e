-- Jobs of any kind: what an operation did in steps, orchestrations do from now on. Work of both sorts is found in the
-- same way: by its tenant, in its lane, when its time has come.
ALTER TABLE cell.jobs
    ALTER COLUMN operation_id DROP NOT NULL,
    ADD COLUMN lane          text    NOT NULL DEFAULT 'bulk' CHECK (lane IN ('interactive', 'bulk')),
    ADD COLUMN most_attempts integer NOT NULL DEFAULT 8,
    -- What it brings about: asked for twice, it is done once.
    ADD COLUMN effect_key    text    COLLATE "C",
    -- When somebody is to look at it next: now, when its time comes, when a lease ends; never, when it ended.
    ADD COLUMN wake_at       timestamptz,
    -- The turn that it has at its provider's.
    ADD COLUMN slot_at       timestamptz,
    ADD COLUMN expires_at    timestamptz,
    ADD UNIQUE (tenant_id, effect_key);
CREATE INDEX jobs_due ON cell.jobs (tenant_id, lane, wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX jobs_dead ON cell.jobs (tenant_id, updated_at, job_id) WHERE state = 'dead';
CREATE INDEX jobs_expired ON cell.jobs (tenant_id, expires_at) WHERE expires_at IS NOT NULL;

ALTER TABLE cell.orchestrations
    ADD COLUMN lane       text    NOT NULL DEFAULT 'interactive' CHECK (lane IN ('interactive', 'bulk')),
    -- Of the workflow's steps, and how many of them are behind it: what a tenant sees of its progress.
    ADD COLUMN steps      text[]  NOT NULL DEFAULT '{}',
    ADD COLUMN steps_done integer NOT NULL DEFAULT 0,
    ADD COLUMN expires_at timestamptz,
    -- What a tenant sees of it as an operation.
    ADD COLUMN operation_state text NOT NULL GENERATED ALWAYS AS (
        CASE outcome
            WHEN 'COMPLETED' THEN 'SUCCEEDED'
            WHEN 'ROLLED_BACK' THEN CASE WHEN error IS NULL THEN 'CANCELLED' ELSE 'FAILED' END
            ELSE CASE WHEN state = 'PENDING' THEN 'PENDING' ELSE 'RUNNING' END
        END) STORED;
CREATE INDEX orchestrations_in_lane ON cell.orchestrations (tenant_id, lane, wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX orchestrations_expired ON cell.orchestrations (tenant_id, expires_at) WHERE expires_at IS NOT NULL;

-- Outside parties that bear only so much of this cell, and when the next turn at each is free. Not of any tenant.
CREATE TABLE cell.providers (
    provider text        COLLATE "C" PRIMARY KEY,
    next_at  timestamptz NOT NULL
);

CREATE POLICY find_expired ON cell.jobs FOR SELECT TO cell_relay USING (expires_at <= now());
CREATE POLICY find_expired ON cell.orchestrations FOR SELECT TO cell_relay USING (expires_at <= now());
GRANT SELECT (lane, wake_at, expires_at) ON cell.jobs TO cell_relay;
GRANT SELECT (lane, expires_at) ON cell.orchestrations TO cell_relay;
GRANT SELECT, INSERT, UPDATE ON cell.providers TO cell_app;
GRANT UPDATE ON cell.jobs, cell.orchestrations, cell.orchestration_steps TO cell_control;

GRANT SELECT (updated_at) ON cell.jobs TO cell_relay;
