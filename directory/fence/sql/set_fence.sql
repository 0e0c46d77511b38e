-- By a decision that is recorded in the directory.
SELECT cellway.set_fence($1, $2, $3, NULL)
