-- One table at a time, so that none is held for longer than it takes.
SELECT cellway.refresh_statistics($1)
