-- What this database has already been through.
SELECT number, phase, checksum FROM upgrades.applied WHERE component = $1
