-- What one move ($1) left here is another's ($2) from now on.
SELECT cellway.hand_over($1, $2, $3::text::jsonb)
