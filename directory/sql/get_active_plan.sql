-- Who is in the way of approving another one that is for the same.
SELECT plan_id, state FROM directory.plans
WHERE kind = $1 AND cell_id IS NOT DISTINCT FROM $2 AND state IN ('APPROVED', 'PAUSED', 'STOPPING') AND plan_id <> $3
