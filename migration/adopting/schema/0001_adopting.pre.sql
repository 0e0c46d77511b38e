-- What was decided about the tenants here beside where they may write: for the steward, and for a service that cares.
CREATE TABLE cellway.decisions (
    tenant_id    text   COLLATE "C" PRIMARY KEY,
    revision     bigint NOT NULL CHECK (revision > 0),
    state        text   NOT NULL CHECK (state IN ('active', 'suspended')),
    display_name text   NOT NULL,
    plan         text   NOT NULL
);

-- Tables whose rows stay here although they may belong to tenants: somebody has said so.
CREATE TABLE cellway.staying (
    relation text COLLATE "C" PRIMARY KEY
);
