-- How far the rows of this transaction bring the destination.
SELECT cellway.note($1, $2, $3, $4::text::jsonb)
