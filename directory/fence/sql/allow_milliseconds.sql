-- For the next statements of this transaction; what is rolled back to before it has the time that it had.
SELECT set_config('statement_timeout', $1, true)
