-- The whole schema as it is now, for reading; a database goes through the numbered upgrades instead.
-- The truth: cells, tenants, assignments, and the numbered stream of what routers must know.
CREATE SCHEMA directory;

-- One sequence for epochs and revisions: any two decisions about anything can be ordered.
CREATE SEQUENCE directory.epochs;

CREATE TABLE directory.cells (
    cell_id          text        COLLATE "C" PRIMARY KEY,
    region           text        NOT NULL,
    state            text        NOT NULL
        CHECK (state IN ('joining', 'open', 'cordoned', 'draining', 'empty', 'retired', 'failed')),
    address          text        NOT NULL,
    control_address  text        NOT NULL,
    capacity_tenants integer     NOT NULL CHECK (capacity_tenants >= 0),
    tenants          integer     NOT NULL DEFAULT 0 CHECK (tenants >= 0),
    version          text        NOT NULL,
    tags             text[]      NOT NULL,
    registered_at    timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    -- What it can hold and may take along. Null: not known, or no cap. Never NaN, nor infinite.
    capacity_cpus          double precision CHECK (capacity_cpus > 0 AND capacity_cpus < 'Infinity'),
    capacity_memory_bytes  bigint           CHECK (capacity_memory_bytes > 0),
    capacity_storage_bytes bigint           CHECK (capacity_storage_bytes > 0),
    capacity_network_bits  double precision
        CHECK (capacity_network_bits > 0 AND capacity_network_bits < 'Infinity'),
    cap_revenue            double precision CHECK (cap_revenue > 0 AND cap_revenue < 'Infinity'),
    cap_top_tier           bigint           CHECK (cap_top_tier >= 0),
    dedicated_to           text             NOT NULL DEFAULT '' CHECK (length(dedicated_to) <= 40)
);

CREATE TABLE directory.tenants (
    tenant_id        text        COLLATE "C" PRIMARY KEY,
    display_name     text        NOT NULL,
    plan             text        NOT NULL,
    region           text,
    state            text        NOT NULL CHECK (state IN ('active', 'suspended', 'deleted')),
    revision         bigint      NOT NULL UNIQUE,
    applied_revision bigint      NOT NULL DEFAULT 0,
    creation_key     text,
    creation_digest  text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    -- How many requests routers grant; null: as many as it makes. Not NaN either, which Postgres holds above all.
    requests_per_second double precision
        CHECK (requests_per_second > 0 AND requests_per_second < 'Infinity'),
    request_burst       integer CHECK (request_burst >= 1),
    -- Who is to be onboarded along with a new tenant; null once its cell has taken that over.
    customer            jsonb,
    -- Where it may live: in cells that have these tags and are dedicated to the same name; and what it pays a month.
    tags                text[]           NOT NULL DEFAULT '{}',
    revenue             double precision NOT NULL DEFAULT 0 CHECK (revenue >= 0 AND revenue < 'Infinity'),
    dedicated_to        text             NOT NULL DEFAULT '' CHECK (length(dedicated_to) <= 40),
    CONSTRAINT tenants_whole_rate CHECK ((requests_per_second IS NULL) = (request_burst IS NULL))
);
CREATE INDEX tenants_unsettled ON directory.tenants (revision) WHERE revision <> applied_revision;

CREATE TABLE directory.assignments (
    tenant_id text   COLLATE "C" PRIMARY KEY REFERENCES directory.tenants,
    cell_id   text   COLLATE "C" NOT NULL REFERENCES directory.cells,
    epoch     bigint NOT NULL UNIQUE
);
CREATE INDEX assignments_by_cell ON directory.assignments (cell_id, tenant_id);

CREATE TABLE directory.changes (
    seq   bigint      PRIMARY KEY,
    entry jsonb       NOT NULL,
    at    timestamptz NOT NULL DEFAULT now()
);

-- One row. Its lock makes the order of numbers the order of commits, so the stream has no gaps and nobody who
-- reads "after number n" can miss one that commits late.
CREATE TABLE directory.head (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq      bigint  NOT NULL DEFAULT 0,
    identity uuid    NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO directory.head DEFAULT VALUES;

CREATE FUNCTION directory.record(entry jsonb) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    number bigint;
BEGIN
    UPDATE directory.head SET seq = seq + 1 RETURNING seq INTO number;
    INSERT INTO directory.changes (seq, entry) VALUES (number, record.entry);
    PERFORM pg_notify('directory_changes', '');
    RETURN number;
END
$$;
REVOKE EXECUTE ON FUNCTION directory.record FROM PUBLIC;

GRANT USAGE ON SCHEMA directory TO directory_writer;
GRANT USAGE ON SEQUENCE directory.epochs TO directory_writer;
GRANT SELECT, INSERT, UPDATE ON directory.cells, directory.tenants TO directory_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON directory.assignments TO directory_writer;
GRANT SELECT, INSERT, DELETE ON directory.changes TO directory_writer;
GRANT SELECT, UPDATE ON directory.head TO directory_writer;
GRANT EXECUTE ON FUNCTION directory.record TO directory_writer;

-- Moves of tenants between cells: what is to be done, how far it is, who carries it, and what was decided.
CREATE TABLE directory.moves (
    move_id     text        COLLATE "C" PRIMARY KEY,
    tenant_id   text        COLLATE "C" NOT NULL REFERENCES directory.tenants,
    source      text        COLLATE "C" NOT NULL REFERENCES directory.cells,
    destination text        COLLATE "C" NOT NULL REFERENCES directory.cells,
    phase       text        NOT NULL DEFAULT 'PLANNED'
        CHECK (phase IN ('PLANNED', 'PREPARED', 'CAPTURING', 'COPYING', 'CATCHING_UP', 'VERIFYING', 'READY', 'FENCING',
                         'FINALIZING', 'COMMITTED', 'ACTIVATED', 'DRAINING', 'REVERSIBLE', 'CLEANING', 'DONE',
                         'ABORTING', 'ABORTED', 'REVERSING', 'REVERSED')),
    phase_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    paused      boolean     NOT NULL DEFAULT false,
    wish        text        NOT NULL DEFAULT 'run'
        CHECK (wish IN ('run', 'pause', 'cancel', 'switch', 'confirm')),
    -- Of whoever carries it: the token is what counts, the lease only keeps others from trying for nothing.
    token       bigint      NOT NULL DEFAULT 0,
    owner       text        NOT NULL DEFAULT '',
    lease_until timestamptz,
    claim_after timestamptz,
    attempt     integer     NOT NULL DEFAULT 1,
    epochs      jsonb       NOT NULL DEFAULT '{}',
    options     jsonb       NOT NULL,
    progress    jsonb       NOT NULL DEFAULT '{}',
    proof       jsonb       NOT NULL DEFAULT '{}',
    pause_ms    double precision,
    error       text        NOT NULL DEFAULT '',
    reason      text        NOT NULL,
    reverses    text        COLLATE "C" REFERENCES directory.moves,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz,
    CHECK (source <> destination),
    CONSTRAINT moves_ended CHECK ((ended_at IS NOT NULL) = (phase IN ('DONE', 'ABORTED', 'REVERSED')))
);
-- One at a time a tenant; the one whose way back is taken only waits.
CREATE UNIQUE INDEX moves_unfinished ON directory.moves (tenant_id) WHERE ended_at IS NULL AND phase <> 'REVERSING';
CREATE INDEX moves_by_tenant ON directory.moves (tenant_id, move_id);
CREATE INDEX moves_by_source ON directory.moves (source, move_id);
CREATE INDEX moves_by_destination ON directory.moves (destination, move_id);
CREATE INDEX moves_by_reversed ON directory.moves (reverses) WHERE reverses IS NOT NULL;
CREATE INDEX moves_to_carry ON directory.moves (move_id) WHERE ended_at IS NULL;
CREATE INDEX moves_by_end ON directory.moves (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE directory.move_events (
    move_id text        COLLATE "C" NOT NULL REFERENCES directory.moves,
    number  integer     NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    phase   text        NOT NULL,
    text    text        NOT NULL,
    detail  jsonb       NOT NULL,
    PRIMARY KEY (move_id, number)
);

-- COMMIT or ABORT, once about each epoch that the tenant had.
CREATE TABLE directory.move_decisions (
    move_id  text   COLLATE "C" NOT NULL REFERENCES directory.moves,
    epoch    bigint NOT NULL,
    decision text   NOT NULL CHECK (decision IN ('COMMIT', 'ABORT')),
    fresh    bigint NOT NULL UNIQUE,
    PRIMARY KEY (move_id, epoch),
    CHECK (fresh > epoch)
);
CREATE UNIQUE INDEX move_decisions_commit ON directory.move_decisions (move_id) WHERE decision = 'COMMIT';

-- Which move switches in a cell just now.
CREATE TABLE directory.move_switches (
    cell_id text        COLLATE "C" PRIMARY KEY REFERENCES directory.cells,
    move_id text        COLLATE "C" NOT NULL REFERENCES directory.moves,
    until   timestamptz NOT NULL
);

-- Placement plans and asks; it can neither claim nor decide, for it may write no token, no epoch and no decision.
GRANT SELECT ON directory.moves, directory.move_events TO directory_writer;
GRANT INSERT (move_id, tenant_id, source, destination, options, reason, reverses) ON directory.moves TO directory_writer;
GRANT UPDATE (phase, phase_at, paused, wish, claim_after, updated_at) ON directory.moves TO directory_writer;
GRANT INSERT ON directory.move_events TO directory_writer;

-- Migration carries out. It writes of assignments what a re-assignment needs; a tenant it may lock, but not change.
GRANT USAGE ON SCHEMA directory TO directory_mover;
GRANT USAGE ON SEQUENCE directory.epochs TO directory_mover;
GRANT SELECT ON directory.cells, directory.tenants, directory.assignments TO directory_mover;
GRANT UPDATE (tenants) ON directory.cells TO directory_mover;
GRANT UPDATE (updated_at) ON directory.tenants TO directory_mover;
GRANT UPDATE (cell_id, epoch) ON directory.assignments TO directory_mover;
GRANT INSERT ON directory.changes TO directory_mover;
GRANT SELECT, UPDATE ON directory.head TO directory_mover;
GRANT EXECUTE ON FUNCTION directory.record TO directory_mover;
GRANT SELECT ON directory.moves, directory.move_events, directory.move_decisions, directory.move_switches
    TO directory_mover;
GRANT UPDATE (phase, phase_at, token, owner, lease_until, claim_after, attempt, epochs, progress, proof, pause_ms,
              error, updated_at, ended_at) ON directory.moves TO directory_mover;
GRANT INSERT ON directory.move_events, directory.move_decisions TO directory_mover;
GRANT INSERT, UPDATE, DELETE ON directory.move_switches TO directory_mover;

-- Removes moves that ended so long ago, with what happened to them; the oldest first, and at most so many. One that
-- another move is the reverse of waits for that one to go. A move whose row somebody else has just now is left for the
-- next time. Whoever carries moves calls it, and can take nothing else away. How many went.
CREATE FUNCTION directory.forget_moves(kept_seconds double precision, most integer) RETURNS integer
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH old AS MATERIALIZED (
        SELECT m.move_id
        FROM directory.moves m
        WHERE m.ended_at <= clock_timestamp() - make_interval(secs => kept_seconds)
          AND NOT EXISTS (SELECT FROM directory.moves r WHERE r.reverses = m.move_id)
        ORDER BY m.ended_at, m.move_id
        LIMIT most
        FOR UPDATE SKIP LOCKED
    ), switches AS (
        DELETE FROM directory.move_switches s USING old WHERE s.move_id = old.move_id
    ), events AS (
        DELETE FROM directory.move_events e USING old WHERE e.move_id = old.move_id
    ), decisions AS (
        DELETE FROM directory.move_decisions d USING old WHERE d.move_id = old.move_id
    ), gone AS (
        DELETE FROM directory.moves m USING old WHERE m.move_id = old.move_id RETURNING m.move_id
    )
    SELECT count(*)::integer FROM gone
$$;
REVOKE EXECUTE ON FUNCTION directory.forget_moves(double precision, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory.forget_moves(double precision, integer) TO directory_mover;

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

-- What tenants take from their cells: what was measured last, what adds up in the part of the week that goes on, and
-- what was usual in each part before.

-- Written with each measurement, so it is small. A row goes with the assignment that it is about.
CREATE TABLE directory.loads (
    tenant_id        text        COLLATE "C" PRIMARY KEY REFERENCES directory.assignments ON DELETE CASCADE,
    -- Counters as the cell told them last: of which start, how many seconds after it.
    cell_id          text        COLLATE "C" NOT NULL,
    start            text        NOT NULL,
    age_seconds      double precision NOT NULL,
    cpu_seconds      double precision NOT NULL,
    network_bytes    double precision NOT NULL,
    requests         double precision NOT NULL,
    database_seconds double precision NOT NULL,
    job_seconds      double precision NOT NULL,
    database_bytes   double precision,  -- null: the cell does not say it
    -- What it took lately, smoothed over some minutes; null before the second measurement.
    cpus             double precision,
    network_bits     double precision,
    request_rate     double precision,
    database_share   double precision,
    job_share        double precision,
    database_bits    double precision,
    -- What it held last; null: not known.
    memory_bytes     double precision,
    row_bytes        double precision,
    storage_bytes    double precision,
    -- Of the part of the week that goes on: which one, counted since 1970, how much of it was measured, and the sums
    -- of rates and of their squares, weighted by seconds.
    period           bigint      NOT NULL,
    period_seconds   double precision NOT NULL DEFAULT 0,
    cpus_sum         double precision NOT NULL DEFAULT 0,
    cpus_squares     double precision NOT NULL DEFAULT 0,
    network_sum      double precision NOT NULL DEFAULT 0,
    network_squares  double precision NOT NULL DEFAULT 0,
    measured_at      timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX loads_by_period ON directory.loads (period, tenant_id);

-- Written when a part of the week has ended. For each part of the week and each resource a float4 in the order of
-- least bytes first, NaN where never measured: a million of them are read at once.
CREATE TABLE directory.usual_loads (
    tenant_id text  COLLATE "C" PRIMARY KEY REFERENCES directory.loads ON DELETE CASCADE,
    mean      bytea NOT NULL,
    variance  bytea NOT NULL,
    CONSTRAINT usual_loads_whole CHECK (length(mean) = 672 AND length(variance) = 672)
);

GRANT SELECT, INSERT, UPDATE ON directory.loads, directory.usual_loads TO directory_writer;

-- Room that is promised in cells: to tenants that were placed, and for a while to those that are expected.

-- What was let into each cell. Whoever chooses does so from a picture of all cells that may be old, and says with the
-- choice what it saw here; under this row's lock it is compared with what is so by now. Each in the order of
-- `values.TAKEN`; both only grow, so neither a clock nor a cancelled reservation can make an old picture look current.
CREATE TABLE directory.rooms (
    cell_id  text               COLLATE "C" PRIMARY KEY REFERENCES directory.cells,
    -- Grows whenever the cell offers something else: another state, capacity, tags, another owner.
    offer    bigint             NOT NULL DEFAULT 1,
    -- The sum of all that was ever promised to tenants and reservations.
    promised double precision[] NOT NULL DEFAULT '{0,0,0,0,0,0,0}' CHECK (cardinality(promised) = 7),
    -- The sum of all that tenants took that were ever created there.
    placed   double precision[] NOT NULL DEFAULT '{0,0,0,0,0,0,0}' CHECK (cardinality(placed) = 7)
);

CREATE FUNCTION directory.add_room() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO directory.rooms (cell_id) VALUES (NEW.cell_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER add_room AFTER INSERT ON directory.cells FOR EACH ROW EXECUTE FUNCTION directory.add_room();

CREATE FUNCTION directory.offer_anew() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE directory.rooms SET offer = offer + 1 WHERE cell_id = NEW.cell_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER offer_anew
    AFTER UPDATE OF state, capacity_tenants, version, tags, capacity_cpus, capacity_memory_bytes,
        capacity_storage_bytes, capacity_network_bits, cap_revenue, cap_top_tier, dedicated_to ON directory.cells
    FOR EACH ROW
    WHEN ((OLD.state, OLD.capacity_tenants, OLD.version, OLD.tags, OLD.capacity_cpus, OLD.capacity_memory_bytes,
           OLD.capacity_storage_bytes, OLD.capacity_network_bits, OLD.cap_revenue, OLD.cap_top_tier, OLD.dedicated_to)
        IS DISTINCT FROM
          (NEW.state, NEW.capacity_tenants, NEW.version, NEW.tags, NEW.capacity_cpus, NEW.capacity_memory_bytes,
           NEW.capacity_storage_bytes, NEW.capacity_network_bits, NEW.cap_revenue, NEW.cap_top_tier, NEW.dedicated_to))
    EXECUTE FUNCTION directory.offer_anew();

-- Room kept for a tenant that is expected; its end is told by this database's clock alone.
CREATE TABLE directory.reservations (
    reservation_id text               COLLATE "C" PRIMARY KEY,
    cell_id        text               COLLATE "C" NOT NULL REFERENCES directory.cells,
    takes          double precision[] NOT NULL CHECK (cardinality(takes) = 7),
    plan           text               NOT NULL,
    region         text,
    tags           text[]             NOT NULL,
    dedicated_to   text               NOT NULL,
    until          timestamptz        NOT NULL,
    created_at     timestamptz        NOT NULL DEFAULT clock_timestamp(),
    CHECK (until <= created_at + interval '1 hour')
);
CREATE INDEX reservations_by_cell ON directory.reservations (cell_id);
CREATE INDEX reservations_by_end ON directory.reservations (until);

GRANT SELECT, INSERT, UPDATE ON directory.rooms TO directory_writer;
GRANT SELECT, INSERT, DELETE ON directory.reservations TO directory_writer;

-- Plans: which tenants should move, why, and how far that is.
CREATE TABLE directory.plans (
    plan_id     text        COLLATE "C" PRIMARY KEY,
    kind        text        NOT NULL CHECK (kind IN ('balance', 'drain')),
    -- The cell that is drained.
    cell_id     text        COLLATE "C" REFERENCES directory.cells,
    state       text        NOT NULL CHECK (state IN ('PROPOSED', 'APPROVED', 'PAUSED', 'STOPPING',
                                                      'STOPPED', 'DONE', 'EXPIRED', 'FAILED')),
    automatic   boolean     NOT NULL,
    goals       jsonb       NOT NULL,
    summary     jsonb       NOT NULL,
    wave        integer     NOT NULL DEFAULT 0,
    vain        integer     NOT NULL DEFAULT 0,
    moved       integer     NOT NULL DEFAULT 0,
    failed      integer     NOT NULL DEFAULT 0,
    moved_bytes double precision NOT NULL DEFAULT 0,
    approved_by text        NOT NULL DEFAULT '',
    error       text        NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    approved_at timestamptz,
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz,
    CONSTRAINT plans_drained CHECK ((kind = 'drain') = (cell_id IS NOT NULL)),
    CONSTRAINT plans_ended CHECK ((ended_at IS NOT NULL) = (state IN ('STOPPED', 'DONE', 'EXPIRED', 'FAILED')))
);
-- One at a time for the balance, and one for each cell that is drained.
CREATE UNIQUE INDEX plans_active ON directory.plans (kind, coalesce(cell_id, ''))
    WHERE state IN ('APPROVED', 'PAUSED', 'STOPPING');
CREATE INDEX plans_unfinished ON directory.plans (plan_id) WHERE ended_at IS NULL;

CREATE TABLE directory.plan_moves (
    plan_id     text        COLLATE "C" NOT NULL REFERENCES directory.plans ON DELETE CASCADE,
    number      integer     NOT NULL,
    wave        integer     NOT NULL,
    tenant_id   text        COLLATE "C" NOT NULL,
    source      text        COLLATE "C" NOT NULL,
    destination text        COLLATE "C" NOT NULL,
    bytes       double precision NOT NULL,
    reason      text        NOT NULL,
    state       text        NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'begun', 'moved', 'failed', 'refused', 'left', 'dropped')),
    -- Of the directory; moves are forgotten sooner or later, so it is no reference.
    move_id     text        COLLATE "C" NOT NULL DEFAULT '',
    error       text        NOT NULL DEFAULT '',
    begun_at    timestamptz,
    -- What it takes of its destination, and the number of the cell's offer that it was planned by; 0: not compared.
    takes       double precision[] NOT NULL DEFAULT '{0,0,0,0,0,0,0}' CHECK (cardinality(takes) = 7),
    offer       bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (plan_id, number),
    CONSTRAINT plan_moves_begun CHECK ((move_id <> '') = (begun_at IS NOT NULL))
);
CREATE INDEX plan_moves_under_way ON directory.plan_moves (plan_id, number) WHERE state = 'begun';
CREATE INDEX plan_moves_by_time ON directory.plan_moves (begun_at) WHERE begun_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.plans, directory.plan_moves TO directory_writer;

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

-- What the pools used on each day, and what they could hold: by that placement foretells when they will be full.

-- A region's pool on one day (UTC), as the leader saw it last. `most` null: as much as comes. `cells`: those whose
-- tenants' use it is.
CREATE TABLE directory.fleet_use (
    day      date             NOT NULL,
    region   text             COLLATE "C" NOT NULL,
    resource text             COLLATE "C" NOT NULL,
    used     double precision NOT NULL CHECK (used >= 0 AND used < 'Infinity'),
    most     double precision CHECK (most >= 0 AND most < 'Infinity'),
    cells    integer          NOT NULL CHECK (cells >= 0),
    PRIMARY KEY (day, region, resource)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON directory.fleet_use TO directory_writer;
