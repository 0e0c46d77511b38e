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
