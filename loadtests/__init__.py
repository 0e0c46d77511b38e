"""Benchmarks and load scenarios. Most speak HTTP to real programs, and know nothing of their insides.

- `smoke`    requests/s and latency through router, cell and Postgres; `make bench-smoke`
- `cell/`    the cell's API beside FastAPI with SQLAlchemy; `make bench-cell`
- `orchestrator/` the cell's workflows beside DBOS; `make bench-orchestrator`
- `jobs/`    the cell's jobs beside Procrastinate; `make bench-jobs`
- `onboarding/` customers onboarded, alone and many at once; `make bench-onboarding`
- `placement/` a cell chosen, fleets levelled, a week simulated; `make bench-placement`, `make simulate`
- `scenarios/` load scenarios with goals and faults; `scenarios/report/` makes pages of what they found
- `drawing/` pictures and pages as text
- `rebalancing/` a fleet out of balance is levelled under load; `make demo-rebalance`
- `history/` tenants moved again and again under an adversary, and what clients were told; `make test-history`
- `measured` a program that measures itself, on a core of its own
- `results/` the latest figures, as JSON
"""
