-- Written in the transaction of the upgrade itself, so that both happen or neither.
INSERT INTO upgrades.applied (component, number, phase, title, checksum) VALUES ($1, $2, $3, $4, $5)
