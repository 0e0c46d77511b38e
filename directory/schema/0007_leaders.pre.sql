-- Who leads: a lock that is only advice, and beside it the number that counts.

-- The lock where there is no Consul. Its end is told by this database's clock alone.
CREATE TABLE directory.locks (
    resource text        COLLATE "C" PRIMARY KEY,
    owner    text        NOT NULL,
    lock_id  uuid        NOT NULL,
    until    timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON directory.locks TO directory_writer;

-- The term of whoever gained the lock of a resource last. Earlier ones may still believe that they lead.
CREATE TABLE directory.terms (
    resource text        COLLATE "C" PRIMARY KEY,
    number   bigint      NOT NULL UNIQUE,
    owner    text        NOT NULL,
    since    timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT ON directory.terms TO directory_writer;

-- A number that only grows, also when two begin at once: so it is drawn under the row's lock.
CREATE FUNCTION directory.begin_term(of_resource text, by_owner text) RETURNS SETOF directory.terms
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO directory.terms (resource, number, owner)
    VALUES (of_resource, nextval('directory.epochs'), by_owner)
    ON CONFLICT (resource) DO NOTHING;
    IF NOT FOUND THEN
        PERFORM FROM directory.terms WHERE resource = of_resource FOR UPDATE;
        UPDATE directory.terms
        SET number = nextval('directory.epochs'), owner = by_owner, since = clock_timestamp()
        WHERE resource = of_resource;
    END IF;
    RETURN QUERY SELECT * FROM directory.terms WHERE resource = of_resource;
END
$$;
REVOKE EXECUTE ON FUNCTION directory.begin_term FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory.begin_term TO directory_writer;

-- What is decided in this transaction is decided in the latest term, and none begins before the transaction ends.
CREATE FUNCTION directory.check_term(of_resource text, carried bigint) RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known bigint;
BEGIN
    SELECT number INTO known FROM directory.terms WHERE resource = of_resource FOR SHARE;
    IF known IS DISTINCT FROM carried THEN
        RAISE EXCEPTION 'a later leader is known' USING ERRCODE = 'CW005', DETAIL = coalesce(known, 0)::text;
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION directory.check_term FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory.check_term TO directory_writer;
