-- From now on lower tokens are refused here.
SELECT snapshot, progress FROM cellway.take($1, $2, $3)
