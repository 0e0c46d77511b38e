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
    PRIMARY KEY (plan_id, number),
    CONSTRAINT plan_moves_begun CHECK ((move_id <> '') = (begun_at IS NOT NULL))
);
CREATE INDEX plan_moves_under_way ON directory.plan_moves (plan_id, number) WHERE state = 'begun';
CREATE INDEX plan_moves_by_time ON directory.plan_moves (begun_at) WHERE begun_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON directory.plans, directory.plan_moves TO directory_writer;
