-- How many this database may write for.
SELECT count(*) FROM cellway.fences('', 2147483647) WHERE state = 'active'
