"""Pure rules of the directory: state tables, names, addresses, limits. No I/O, clock, randomness or logging."""
