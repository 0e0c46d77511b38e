-- The same keys, however many, to be read a batch at a time.
SELECT l.relation, l.key FROM cellway.logged(current_setting('app.tenant'), current_setting('cellway.since')) l
