-- Rows are added up as they come: the planner takes buckets for as many as rows, and would sort them all first.
SELECT set_config('enable_sort', 'off', true)
