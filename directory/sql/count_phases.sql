-- How many moves that have not ended are in each phase, and how many of them something is in the way of. For how many
-- seconds the oldest has been there, of those that no operator has wait.
SELECT phase, count(*) AS moves, count(*) FILTER (WHERE error <> '') AS obstructed,
       coalesce(extract(epoch FROM clock_timestamp() - min(phase_at) FILTER (WHERE NOT (
           paused OR (phase = 'READY' AND coalesce((options ->> 'hold')::boolean, false) AND wish <> 'switch')
       ))), 0)::double precision AS oldest_seconds
FROM directory.moves WHERE ended_at IS NULL
GROUP BY phase
