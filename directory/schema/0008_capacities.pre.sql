-- What a cell can hold and may take along, and where a tenant may live. Null: not known, or no cap. Never NaN, which
-- Postgres holds above all, nor infinite: everything is reckoned with.
ALTER TABLE directory.cells
    ADD COLUMN capacity_cpus          double precision CHECK (capacity_cpus > 0 AND capacity_cpus < 'Infinity'),
    ADD COLUMN capacity_memory_bytes  bigint           CHECK (capacity_memory_bytes > 0),
    ADD COLUMN capacity_storage_bytes bigint           CHECK (capacity_storage_bytes > 0),
    ADD COLUMN capacity_network_bits  double precision
        CHECK (capacity_network_bits > 0 AND capacity_network_bits < 'Infinity'),
    ADD COLUMN cap_revenue            double precision CHECK (cap_revenue > 0 AND cap_revenue < 'Infinity'),
    ADD COLUMN cap_top_tier           bigint           CHECK (cap_top_tier >= 0),
    ADD COLUMN dedicated_to           text             NOT NULL DEFAULT '' CHECK (length(dedicated_to) <= 40);

ALTER TABLE directory.tenants
    ADD COLUMN tags         text[]           NOT NULL DEFAULT '{}',
    ADD COLUMN revenue      double precision NOT NULL DEFAULT 0 CHECK (revenue >= 0 AND revenue < 'Infinity'),
    ADD COLUMN dedicated_to text             NOT NULL DEFAULT '' CHECK (length(dedicated_to) <= 40);
