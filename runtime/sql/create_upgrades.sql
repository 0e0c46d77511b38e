-- The record of what was applied must exist before the first upgrade.
CREATE SCHEMA IF NOT EXISTS upgrades;
CREATE TABLE IF NOT EXISTS upgrades.applied (
    component  text        NOT NULL,
    number     integer     NOT NULL,
    phase      text        NOT NULL CHECK (phase IN ('pre', 'post')),
    title      text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (component, number, phase)
);
