-- Changes in the order of their numbers, which is the order of their commits.
SELECT seq, entry FROM directory.changes WHERE seq > $1 ORDER BY seq LIMIT $2
