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
INSERT INTO directory.rooms (cell_id) SELECT cell_id FROM directory.cells;

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
