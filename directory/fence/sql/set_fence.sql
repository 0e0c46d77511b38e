-- By a decision that is recorded in the directory; held for a move ($4), or for nobody.
SELECT cellway.set_fence($1, $2, $3, $4)
