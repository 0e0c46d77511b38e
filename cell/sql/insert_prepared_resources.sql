-- Fills the pool up to $3 of a kind, and adds nothing while somebody else does.
INSERT INTO cell.prepared_resources (resource_id, kind)
SELECT made.resource_id, $1 FROM unnest($2::text[]) WITH ORDINALITY AS made (resource_id, number)
WHERE pg_try_advisory_xact_lock(hashtextextended('refill:' || $1, 2))
  AND made.number <= $3 - (SELECT count(*) FROM cell.prepared_resources p WHERE p.kind = $1)
RETURNING resource_id
