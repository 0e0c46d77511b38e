-- How far rows are here is older than what the other ends of moves know: whoever goes on from it is to find that it is of
-- another time (a snapshot that is ahead of all), and to copy anew. Who carried a move before now ($1) is late.
WITH known AS (
    UPDATE cellway.moves
    SET token = greatest(token, $1), snapshot = '9223372036854775807:9223372036854775807:', progress = '{}'
)
UPDATE cellway.forgotten SET token = greatest(token, $1)
