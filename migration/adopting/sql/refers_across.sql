-- A row that refers to another tenant's would lose it when either moves.
SELECT EXISTS (SELECT FROM {table} a JOIN {referenced} b ON {equal} WHERE a.{column} IS DISTINCT FROM b.{other})
