-- A page of the audit log, the newest first: each decision once, by its end if that is known. $5: any of these targets.
SELECT a.number, a.at, a.concludes, a.actor, a.role, a.action, a.targets, a.request_id, a.outcome, a.detail,
       coalesce(b.at, a.at) AS began_at
FROM directory.audit a LEFT JOIN directory.audit b ON b.number = a.concludes
WHERE ($1::bigint IS NULL OR a.number < $1)
  AND ($3::text IS NULL OR a.actor = $3)
  AND ($4::text IS NULL OR a.action = $4)
  AND ($5::text[] IS NULL OR a.targets && $5)
  AND ($6::timestamptz IS NULL OR a.at >= $6)
  AND ($7::timestamptz IS NULL OR a.at < $7)
  AND NOT EXISTS (SELECT FROM directory.audit e WHERE e.concludes = a.number)
ORDER BY a.number DESC
LIMIT $2
