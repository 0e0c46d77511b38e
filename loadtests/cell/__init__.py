"""Two endpoints of the cell beside the same ones as one would write them first: `make bench-cell`.

    python -m loadtests.cell

Read in this order:

    stage        one Postgres, one Redis, one tenant with accounts and namespaces (seed.sql), the requests
    peer         FastAPI, SQLAlchemy 2, asyncpg: the same rows under the same row security, the same answers
    servers      the real `python -m cell`, and uvicorn with the peer; each alone on core 0
    checking     before anything is measured: both give the same answers
    wrk          the closed-loop client (requests.lua): cycles through namespaces, or makes new ones
    rounds       turn by turn, so that noise hits both
    report       the tables, the ratios, results/cell.json

Both servers use the same tables of the same database as the same role, so what Postgres does is the same for
both. The client, Postgres, Redis and this program share core 1, which bounds requests a second: compare CPU time a
request. What is pinned, counted and kept quiet is as in `loadtests.router`.
"""
