"""Pure rules of the directory: states, names, addresses, limits, capacities. No I/O, clock, randomness or logging.

`tables` is what is known of the tables whose rows move, `comparing` what keeps rows from one cell out of another.
"""
