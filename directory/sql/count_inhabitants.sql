-- Who lives where, by plan: a row for each cell and plan, however many tenants there are.
SELECT a.cell_id, t.plan, count(*)::integer AS tenants, sum(t.revenue) AS revenue
FROM directory.assignments a JOIN directory.tenants t USING (tenant_id)
GROUP BY a.cell_id, t.plan
