-- Whoever led when the backup was made does so no more.
DELETE FROM directory.locks
