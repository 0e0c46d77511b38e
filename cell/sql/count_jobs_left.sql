-- What a bounded bite at the jobs in a state, of an actor, has left.
SELECT count(*) FROM cell.jobs WHERE state = $1 AND ($2::text IS NULL OR actor = $2)
