-- The next number of the stream, in the transaction of the change itself.
SELECT directory.record($1::jsonb)
