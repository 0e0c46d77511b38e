-- Who writes here today goes on; whoever has a fence already keeps it as it is.
INSERT INTO cellway.fence (tenant_id, epoch, state)
SELECT opened.tenant, opened.epoch, 'active' FROM unnest($1::text[], $2::bigint[]) AS opened (tenant, epoch)
ON CONFLICT (tenant_id) DO NOTHING
RETURNING tenant_id
