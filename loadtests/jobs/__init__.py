"""Jobs that write one row each, ours beside Procrastinate on the same Postgres: `make bench-jobs`.

    python -m loadtests.jobs

Read in this order:

    queue        what a side has to be able to do: put jobs in, and work them off
    task         the two measurements, over any side: deferred beforehand in bulk, and deferred while workers run
    ours         the cell's jobs, with the worker around them
    peer         Procrastinate
    flood        what one tenant waits while another floods the queue (results/flood.json)
    programs     the sides, each a program on core 0, with a database of its own
    report       the table, the ratios, results/jobs.json

A side is a program that calls `task.main` with a `queue.Queue`. It is started anew for each measurement. Postgres
and the harness have core 1. The rows that jobs write are counted afterwards.
"""
