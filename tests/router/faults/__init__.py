"""Faults of clients, cells, networks and operators, with real sockets: what is promised holds, and nothing leaks.

- `rest`            what a router is when nobody is connected: nothing borrowed, nothing awaited, nothing held
- `cells`           what cells do wrong, as scripts
- `moves`           two cells, and a tenant that is moved between them
- `load`            many requests a second on raw sockets, counted
- `programs`        `python -m router` with a Redis and a cell
- `certificates`    an authority of one's own and what it signs
"""
