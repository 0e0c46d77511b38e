-- A lease counts at the epoch at which it was given: whoever had it before a tenant moved can commit nothing any more, so
-- nobody waits for its end.
ALTER TABLE cell.jobs ADD COLUMN claimed_epoch bigint;
ALTER TABLE cell.orchestrations ADD COLUMN claimed_epoch bigint;
CREATE INDEX jobs_claimed ON cell.jobs (tenant_id, lane, claimed_epoch) WHERE state = 'running';
CREATE INDEX orchestrations_claimed ON cell.orchestrations (tenant_id, lane, claimed_epoch) WHERE leased;
GRANT SELECT (claimed_epoch) ON cell.jobs TO cell_relay;
GRANT SELECT (claimed_epoch, leased) ON cell.orchestrations TO cell_relay;
