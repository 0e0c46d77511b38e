-- No row: this revision, or a later one, is known already.
INSERT INTO cell.tenants AS t (display_name, plan, state, revision) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id) DO UPDATE
    SET display_name = excluded.display_name, plan = excluded.plan, state = excluded.state,
        revision = excluded.revision, updated_at = now()
    WHERE t.revision < excluded.revision
RETURNING *
