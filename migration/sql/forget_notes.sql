-- The rows are to be copied again, from the first.
SELECT cellway.forget_notes($1, $2)
