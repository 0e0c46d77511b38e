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
    -- What it took lately, smoothed over some minutes; null before the second measurement.
    cpus             double precision,
    network_bits     double precision,
    request_rate     double precision,
    database_share   double precision,
    job_share        double precision,
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
