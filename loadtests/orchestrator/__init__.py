"""Workflows of five steps, ours beside DBOS on the same Postgres: `make bench-orchestrator`.

    python -m loadtests.orchestrator

Read in this order:

    task         what every program is asked for, and what it tells: workflows, how many at a time, times
    ours         the cell's orchestrator: several tenants, each step a `Here` that writes a row, exactly once
    peer         DBOS in two forms: transactions of its datasource (exactly once, as ours), and plain steps
    programs     starts one of them on core 0, on a database of its own kind
    report       the table, the ratios, results/orchestrator.json

A program is started anew for each measurement, warms up, and then begins a workflow whenever one has ended, always
the same number at a time. Postgres and the harness have core 1. The rows that steps write are counted afterwards.
"""
