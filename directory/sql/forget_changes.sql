-- Routers that are further behind read the snapshot.
DELETE FROM directory.changes WHERE seq <= (SELECT seq FROM directory.head) - $1::bigint
