"""What it costs to know what tenants take.

- `__main__`   measures, prints, writes results/metering.json
- `requests`   what counting takes of a request, in a process that does nothing else
- `collecting` handing over to Redis, a page of the control contract, a round of placement: a cell and a directory
"""
