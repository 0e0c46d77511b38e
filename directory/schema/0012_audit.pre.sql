-- Who decided what, and what came of it. Only ever added to: by whom it is written it can be neither changed nor removed.
CREATE TABLE directory.audit (
    number     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The entry that was written before, of which this one tells the end.
    concludes  bigint,
    actor      text        NOT NULL CHECK (length(actor) BETWEEN 1 AND 60),
    role       text        NOT NULL CHECK (role IN ('viewer', 'operator', 'admin', 'placement')),
    action     text        NOT NULL CHECK (length(action) BETWEEN 1 AND 100),
    targets    text[]      NOT NULL CHECK (cardinality(targets) <= 20),
    request_id text        NOT NULL CHECK (length(request_id) <= 128),
    -- Null: it was begun, and nothing is known of its end as long as no other entry concludes it.
    outcome    text        CHECK (length(outcome) BETWEEN 1 AND 60),
    detail     jsonb       NOT NULL CHECK (octet_length(detail::text) <= 20000),
    CONSTRAINT audit_conclusions CHECK (concludes IS NULL OR (outcome IS NOT NULL AND concludes < number))
);
CREATE UNIQUE INDEX audit_by_beginning ON directory.audit (concludes) WHERE concludes IS NOT NULL;
CREATE INDEX audit_by_time ON directory.audit (at);
CREATE INDEX audit_by_actor ON directory.audit (actor, number);
CREATE INDEX audit_by_action ON directory.audit (action, number);
CREATE INDEX audit_by_target ON directory.audit USING gin (targets);

-- Neither number nor time is the writer's to say.
GRANT SELECT ON directory.audit TO directory_writer;
GRANT INSERT (concludes, actor, role, action, targets, request_id, outcome, detail) ON directory.audit TO directory_writer;

-- So that it does not grow for ever: removes what is older, the oldest first, and at most so many. The last thirty days
-- are not forgotten, whoever asks. How many went.
CREATE FUNCTION directory.forget_audit(kept_seconds double precision, most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    gone integer;
BEGIN
    IF NOT kept_seconds >= 30 * 86400 OR kept_seconds = 'NaN' THEN
        RAISE EXCEPTION 'the audit log of the last thirty days is not forgotten' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM directory.audit WHERE number IN (
        SELECT a.number
        FROM directory.audit a
        WHERE a.at <= clock_timestamp() - make_interval(secs => kept_seconds)
        ORDER BY a.at
        LIMIT most
        FOR UPDATE SKIP LOCKED
    );
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
REVOKE EXECUTE ON FUNCTION directory.forget_audit(double precision, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory.forget_audit(double precision, integer) TO directory_writer;
