-- A tenant as its cell has it: what was decided last, and carried out.
INSERT INTO directory.tenants (tenant_id, display_name, plan, state, revision, applied_revision)
VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT (tenant_id) DO UPDATE
SET display_name = excluded.display_name, plan = excluded.plan, state = excluded.state, revision = excluded.revision,
    applied_revision = excluded.revision, updated_at = now()
