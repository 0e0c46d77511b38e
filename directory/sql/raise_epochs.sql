-- Above all that was given out after the backup, known ($1) or not: a thousand millions are more than any fleet uses.
SELECT setval('directory.epochs', greatest((SELECT last_value FROM directory.epochs), $1) + 1000000000)
