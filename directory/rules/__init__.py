"""Pure rules of the directory: state tables, names, addresses. No I/O, no clock, no randomness, no logging."""
