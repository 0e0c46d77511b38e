-- Tenants of the benchmark, assigned to its cell at once.
WITH made AS (
    INSERT INTO directory.tenants (tenant_id, display_name, plan, state, revision, applied_revision)
    SELECT name, name, 'standard', 'active', number, number
    FROM unnest($1::text[]) WITH ORDINALITY AS each (name, number)
    RETURNING tenant_id, revision
)
INSERT INTO directory.assignments (tenant_id, cell_id, epoch) SELECT tenant_id, $2, revision FROM made
