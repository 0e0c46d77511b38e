-- Where it may live, and what it pays, are placement's alone: no cell has to carry it out, so the revision stays.
UPDATE directory.tenants
SET tags = coalesce($2, tags), revenue = coalesce($3, revenue), dedicated_to = coalesce($4, dedicated_to),
    updated_at = now()
WHERE tenant_id = $1
