-- What passes between cells and their databases for tenants; null where a cell does not say it.
ALTER TABLE directory.loads
    -- As the cell told it last.
    ADD COLUMN database_bytes double precision,
    -- Lately, a second.
    ADD COLUMN database_bits  double precision;
