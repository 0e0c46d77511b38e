-- Reserve one place by compare-and-set: two placers cannot overfill a cell. The tenant's own row says where it may
-- live, and whoever takes the place holds that row, so no cell gets a tenant that may not live there.
UPDATE directory.cells c SET tenants = c.tenants + 1
FROM directory.tenants t
WHERE c.cell_id = $1 AND t.tenant_id = $2 AND c.state = 'open' AND c.tenants < c.capacity_tenants
  AND (t.region IS NULL OR t.region = c.region) AND t.tags <@ c.tags AND t.dedicated_to = c.dedicated_to
RETURNING c.cell_id
