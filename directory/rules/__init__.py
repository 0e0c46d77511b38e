"""Pure rules of the directory: state tables, names, addresses, limits, capacities. Neither I/O nor clock nor
randomness.

`tables` is what is known of the tables whose rows move, `comparing` what keeps rows from one cell out of another.
"""
