-- Who is there, and what its cell was told last; as a mover, past row security.
SELECT tenant_id, display_name, plan, state, revision FROM cell.tenants
