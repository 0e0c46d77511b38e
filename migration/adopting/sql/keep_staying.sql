-- What was said last counts; so nobody has to say it again.
WITH gone AS (DELETE FROM cellway.staying WHERE relation <> ALL ($1::text[]))
INSERT INTO cellway.staying (relation) SELECT unnest($1::text[]) ON CONFLICT (relation) DO NOTHING
