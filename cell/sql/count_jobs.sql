-- How many jobs the tenant that was entered has in each state.
SELECT state, count(*) AS jobs FROM cell.jobs GROUP BY state
