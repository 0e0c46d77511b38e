-- What a snapshot sees will not be asked for again; some at a time.
SELECT cellway.forget_logged($1, $2, $3)
