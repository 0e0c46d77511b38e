"""Pure rules of the directory: state tables, names, addresses, limits, capacities. No I/O, no clock, no chance.

`tables` is what is known of the tables whose rows move, `comparing` what keeps rows from one cell out of another.
"""
