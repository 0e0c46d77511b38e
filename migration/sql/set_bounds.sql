-- COPY takes no bound values: a chunk's bounds reach it as settings of the transaction.
SELECT set_config('cellway.after', coalesce($1::text[]::text, ''), true),
       set_config('cellway.to', coalesce($2::text[]::text, ''), true)
