-- Its own alone: a successor's stays.
DELETE FROM directory.locks WHERE resource = $1 AND lock_id = $2
