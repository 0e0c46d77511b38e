-- A decision that comes late changes nothing: no row.
INSERT INTO cellway.decisions AS d (tenant_id, revision, state, display_name, plan) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id) DO UPDATE
    SET revision = excluded.revision, state = excluded.state, display_name = excluded.display_name,
        plan = excluded.plan
    WHERE d.revision <= excluded.revision
RETURNING revision
