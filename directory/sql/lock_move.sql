-- Phase, wish and token must not change between the look at them and the write.
SELECT * FROM directory.moves WHERE move_id = $1 FOR NO KEY UPDATE
