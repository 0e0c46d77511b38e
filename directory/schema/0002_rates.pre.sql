-- How many requests routers grant a tenant; null: as many as it makes. Not NaN either, which Postgres holds above all.
ALTER TABLE directory.tenants
    ADD COLUMN requests_per_second double precision
        CHECK (requests_per_second > 0 AND requests_per_second < 'Infinity'),
    ADD COLUMN request_burst integer CHECK (request_burst >= 1),
    ADD CONSTRAINT tenants_whole_rate CHECK ((requests_per_second IS NULL) = (request_burst IS NULL));
