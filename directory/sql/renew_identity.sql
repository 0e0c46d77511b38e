-- Numbers of the stream are given out again: caches and routers must not take them for those that they know.
UPDATE directory.head SET identity = gen_random_uuid() RETURNING identity::text
