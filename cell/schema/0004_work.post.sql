-- What only programs of before used. Operations are read from orchestrations; jobs that were not done yet are given to
-- the new programs, which carry on with them. (A change of type rewrites the rows of all tenants, at a moment when
-- nobody serves them; an UPDATE would see none of them, and that is as it should be.)
DROP POLICY find_work ON cell.jobs;
DROP POLICY find_expired ON cell.jobs;
ALTER TABLE cell.jobs
    ALTER COLUMN wake_at TYPE timestamptz
        USING CASE WHEN state IN ('waiting', 'running') THEN coalesce(wake_at, now()) END,
    ALTER COLUMN state TYPE text USING CASE state WHEN 'cancelled' THEN 'done' ELSE state END,
    ALTER COLUMN expires_at TYPE timestamptz
        USING CASE WHEN state IN ('done', 'cancelled') THEN coalesce(expires_at, now()) END;
CREATE POLICY find_work ON cell.jobs FOR SELECT TO cell_relay USING (wake_at IS NOT NULL);
CREATE POLICY find_expired ON cell.jobs FOR SELECT TO cell_relay USING (expires_at <= now());
CREATE POLICY find_dead ON cell.jobs FOR SELECT TO cell_relay USING (state = 'dead');
DROP INDEX cell.jobs_waiting, cell.jobs_leased, cell.orchestrations_due;
ALTER TABLE cell.jobs
    DROP CONSTRAINT jobs_state_check,
    ADD CHECK (state IN ('waiting', 'running', 'done', 'dead')),
    ADD CHECK ((state IN ('waiting', 'running')) = (wake_at IS NOT NULL)),
    ALTER COLUMN wake_at SET DEFAULT now(),
    ALTER COLUMN state SET DEFAULT 'waiting',
    DROP COLUMN operation_id,
    DROP COLUMN priority,
    DROP COLUMN run_at,
    DROP COLUMN lease_token,
    DROP COLUMN lease_until;
ALTER TABLE cell.orchestrations DROP COLUMN priority;
DROP TABLE cell.operations;
