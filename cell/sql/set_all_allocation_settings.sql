-- What another plan gives to each namespace that there is.
UPDATE cell.allocations SET settings = settings || $1
