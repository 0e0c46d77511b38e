"""Load scenarios as data, with goals and faults."""
