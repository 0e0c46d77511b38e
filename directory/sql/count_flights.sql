-- How many moves each cell takes part in just now; $1: phases in which nothing is in flight any more.
SELECT cell_id, count(*) AS flights
FROM (
    SELECT source AS cell_id FROM directory.moves WHERE ended_at IS NULL AND phase <> ALL ($1::text[])
    UNION ALL
    SELECT destination FROM directory.moves WHERE ended_at IS NULL AND phase <> ALL ($1::text[])
) either
GROUP BY cell_id
