-- What is taken of a cell's caps (tenants, revenue, top tier) by who lives there, who moves there and may still arrive,
-- and what is reserved. After its row is locked, so that it is as much until the end. $2: plans of the highest rank;
-- $3: phases from which a move can still arrive.
SELECT sum(tenants)::float8 AS tenants, sum(revenue)::float8 AS revenue, sum(top_tier)::float8 AS top_tier
FROM (
    SELECT count(*) AS tenants, coalesce(sum(t.revenue), 0) AS revenue, count(*) FILTER (WHERE t.plan = ANY ($2)) AS top_tier
    FROM (
        SELECT tenant_id FROM directory.assignments WHERE cell_id = $1
        UNION
        SELECT tenant_id FROM directory.moves WHERE destination = $1 AND ended_at IS NULL AND phase = ANY ($3::text[])
    ) here JOIN directory.tenants t USING (tenant_id)
    UNION ALL
    SELECT takes[5], takes[6], takes[7]
    FROM directory.reservations WHERE cell_id = $1 AND until > clock_timestamp()
) parts
