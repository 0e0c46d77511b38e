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
    updated_at       timestamptz NOT NULL DEFAULT now()
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
