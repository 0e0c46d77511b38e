-- Whoever gained the lock begins a term: from now on the directory refuses what earlier leaders decide.
SELECT * FROM directory.begin_term($1, $2)
