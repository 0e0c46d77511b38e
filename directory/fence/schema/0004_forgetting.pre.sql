-- Moves that ended long ago are forgotten here, and still nobody comes with a token from that time.

-- The highest token that was forgotten. Tokens only grow, so who comes with a lower one, for a move that is not known
-- here, is late.
CREATE TABLE cellway.forgotten (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    token bigint  NOT NULL DEFAULT 0
);
INSERT INTO cellway.forgotten DEFAULT VALUES;
ALTER TABLE cellway.forgotten ENABLE ROW LEVEL SECURITY;
ALTER TABLE cellway.forgotten FORCE ROW LEVEL SECURITY;
CREATE POLICY forgotten_owner ON cellway.forgotten TO CURRENT_USER USING (true) WITH CHECK (true);

-- A mover takes a move up: from then on those with a lower token are refused, and those that were at work have
-- ended (the caller sets lock_timeout). Says how far the rows are. READ COMMITTED, so that each look is taken after
-- the lock.
-- One that is new here makes room for itself: a few are forgotten that nobody has taken up for 90 days, but not while
-- the fence is held for them, or rows arrive that they may have left. Each with its lock, so that whoever comes for it
-- sees it, or else the token that is kept. Who stands still meanwhile hinders nobody.
CREATE OR REPLACE FUNCTION cellway.take(
    move text, tenant text, new_token bigint, OUT snapshot text, OUT progress jsonb
) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    late    bigint;
    old     text;
    went    bigint;
    highest bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(cellway.move_key(move));
    UPDATE cellway.moves m SET token = new_token, updated_at = now()
    WHERE m.move_id = move AND m.token <= new_token AND m.tenant_id = tenant
    RETURNING m.snapshot, m.progress INTO take.snapshot, take.progress;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT f.token INTO late FROM cellway.forgotten f;
    INSERT INTO cellway.moves AS m (move_id, tenant_id, token)
    SELECT move, tenant, new_token
    WHERE new_token > late AND current_setting('transaction_isolation') = 'read committed'
    ON CONFLICT (move_id) DO NOTHING
    RETURNING m.snapshot, m.progress INTO take.snapshot, take.progress;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a later mover is known' USING ERRCODE = 'CW003',
            DETAIL = coalesce((SELECT m.token FROM cellway.moves m WHERE m.move_id = move), late)::text;
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('forgetting moves', 0)) THEN
        RETURN;
    END IF;
    FOR old IN
        SELECT o.move_id FROM cellway.moves o
        WHERE o.updated_at < now() - interval '90 days'
          AND NOT EXISTS (SELECT FROM cellway.fence f
                          WHERE f.tenant_id = o.tenant_id AND (f.move_id = o.move_id OR f.state = 'importing'))
        LIMIT 20
    LOOP
        IF pg_try_advisory_xact_lock(cellway.move_key(old)) THEN
            DELETE FROM cellway.moves o WHERE o.move_id = old AND o.updated_at < now() - interval '90 days'
            RETURNING o.token INTO went;
            highest := greatest(highest, went);
        END IF;
    END LOOP;
    UPDATE cellway.forgotten f SET token = highest WHERE f.token < highest;
END
$$;
