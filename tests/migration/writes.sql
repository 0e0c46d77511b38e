-- What writers do, each in a transaction of its own, called as what stands above it.

-- keys
UPDATE orders SET id = id + 1000 WHERE tenant = me() AND id % 3 = 0;

-- keys that pass on
UPDATE seats SET id = id + 5000 WHERE tenant = me();
UPDATE seats SET id = id - 4999 WHERE tenant = me();

-- upserts
INSERT INTO orders (tenant, id, code, total) SELECT me(), n, n + 500, 9
    FROM generate_series(30, 50) n ON CONFLICT (tenant, id) DO UPDATE
    SET total = excluded.total, code = excluded.code;

-- upserts that do nothing
INSERT INTO orders (tenant, id, code) SELECT me(), n, n FROM generate_series(35, 60) n
    ON CONFLICT DO NOTHING;

-- merge
MERGE INTO orders t USING (SELECT me() AS tenant, n
    FROM generate_series(20, 60) n) s ON t.tenant = s.tenant AND t.id = s.n
    WHEN MATCHED AND n % 3 = 0 THEN DELETE WHEN MATCHED AND n % 3 = 1 THEN UPDATE
    SET total = 0, id = t.id + 2000 + (SELECT max(id) FROM orders) WHEN MATCHED THEN DO NOTHING
    WHEN NOT MATCHED AND n % 2 = 0 THEN INSERT (tenant, id, code) VALUES (tenant, n, NULL)
    WHEN NOT MATCHED THEN DO NOTHING;

-- insert from select
INSERT INTO orders (tenant, id, code, total) SELECT tenant, id + 7000, code + 7000, 'NaN'
    FROM orders WHERE tenant = me() AND id < 7000 ON CONFLICT DO NOTHING;

-- statements within one
WITH gone AS (DELETE FROM lines WHERE tenant = me() AND id % 2 = 0 RETURNING *),
    changed AS (UPDATE remarks SET order_id = NULL WHERE tenant = me() AND id < 9 RETURNING id)
    INSERT INTO loose SELECT tenant, id::text FROM gone;

-- delete using
DELETE FROM orders t USING lines l
    WHERE t.tenant = me() AND l.tenant = t.tenant AND l.order_id = t.id AND l.id % 5 = 0;

-- update from
UPDATE lines l SET order_id = o.parent FROM orders o
    WHERE l.tenant = me() AND o.tenant = l.tenant AND o.id = l.order_id AND o.parent IS NOT NULL;

-- cascades
DELETE FROM orders WHERE tenant = me() AND id BETWEEN 10 AND 13;
UPDATE orders SET id = -id WHERE tenant = me() AND id BETWEEN 14 AND 20;

-- deferred
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO lines SELECT me(), max(id) + 1, 90000 + max(id) FROM lines;
INSERT INTO orders (tenant, id) SELECT me(), max(order_id) FROM lines;

-- a swap in one statement
UPDATE seats SET place = 21 - place WHERE tenant = me() AND place BETWEEN 1 AND 20;
UPDATE seats SET id = id WHERE tenant = me();

-- a swap by way of a third
UPDATE orders SET code = -1 WHERE tenant = me() AND id = 1;
UPDATE orders SET code = 1 WHERE tenant = me() AND id = 2;
UPDATE orders SET code = 2 WHERE tenant = me() AND id = 1;

-- savepoints
SAVEPOINT a;
DELETE FROM orders WHERE tenant = me();
ROLLBACK TO a;
UPDATE orders SET total = 1 WHERE tenant = me() AND id = 5;
SAVEPOINT b;
DELETE FROM lines WHERE tenant = me() AND id = 3;
RELEASE b;
SAVEPOINT c;
INSERT INTO loose VALUES (me(), 'no');
ROLLBACK TO c;

-- views
UPDATE cheap SET code = code + 3000 WHERE tenant = me();
DELETE FROM cheap WHERE tenant = me() AND id = 2;

-- a replica's role
SET LOCAL session_replication_role = replica;
DELETE FROM remarks WHERE tenant = me() AND id < 5;
UPDATE seats SET place = NULL WHERE tenant = me() AND id = 4;

-- settings of their own
SET LOCAL timezone = 'Asia/Kolkata';
SET LOCAL datestyle = 'SQL, DMY';
SET LOCAL intervalstyle = 'sql_standard';
SET LOCAL extra_float_digits = -10;
SET LOCAL bytea_output = 'escape';
INSERT INTO moments SELECT me(), at, lasts, ratio, mark, n FROM
    (VALUES ('0044-03-15 12:00:00.000001 BC'::timestamptz), ('infinity'), ('-infinity'), ('2024-03-31 02:30')) a (at),
    (VALUES ('-1 day +00:00:01'::interval), ('1 mon -3 days')) b (lasts),
    (VALUES (1 / 3::float8), ('NaN'), ('-Infinity')) c (ratio),
    (VALUES ('\x005cff'::bytea)) d (mark), (VALUES (1.00), ('Infinity')) e (n)
    ON CONFLICT DO NOTHING;
UPDATE moments SET at = at + '1 second', ratio = ratio / 3, mark = mark || mark
    WHERE tenant = me() AND isfinite(at);

-- zeros of two signs
INSERT INTO moments VALUES (me(), 'epoch', '1 day', '-0', '', 1.0) ON CONFLICT DO NOTHING;
UPDATE moments SET ratio = -ratio, lasts = CASE
    WHEN lasts::text = '1 day' THEN interval '24:00' ELSE interval '1 day' END
    WHERE tenant = me() AND at = 'epoch';

-- rows without a key
INSERT INTO loose SELECT me(), NULL FROM generate_series(1, 2);
DELETE FROM loose WHERE ctid = (SELECT min(ctid) FROM loose WHERE tenant = me() AND v = 'same');

-- all of it
DELETE FROM orders WHERE tenant = me();
DELETE FROM lines WHERE tenant = me();
DELETE FROM seats WHERE tenant = me();
DELETE FROM loose WHERE tenant = me();
