-- What was decided about an epoch; about each there is one decision.
SELECT decision FROM directory.move_decisions WHERE move_id = $1 AND epoch = $2
