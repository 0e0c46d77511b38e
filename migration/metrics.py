"""Everything that a mover counts. No label grows with tenants or moves."""

from prometheus_client import Counter, Gauge, Histogram

PHASES = Counter("cellway_migration_phases", "Phases that moves have entered, by phase", ["phase"])
PHASE_SECONDS = Histogram(
    "cellway_migration_phase_seconds", "How long a mover was at a phase before the next, by phase", ["phase"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0, 3600.0, 36000.0),
)  # fmt: skip
CARRIED = Gauge("cellway_migration_carried", "Moves that this mover carries now")
LET_GO = Counter("cellway_migration_let_go", "Moves let go before their end, by reason", ["reason"])
for _reason in ("superseded", "obstacle", "unavailable", "fault"):
    LET_GO.labels(_reason)  # from 0 on: the first of what is rare is to be seen as an increase
ROWS = Counter("cellway_migration_rows", "Rows brought to destinations, by what brought them", ["by"])
STEP_SECONDS = Histogram(
    "cellway_migration_step_seconds", "How long steps took",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0),
)  # fmt: skip
PAUSE_SECONDS = Histogram(
    "cellway_migration_pause_seconds", "How long a tenant could not write, as the mover saw it",
    buckets=(0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0),
)  # fmt: skip
RELEASED = Counter("cellway_migration_released", "Switches given up because they took too long or failed")
COMMIT_SECONDS = Histogram(
    "cellway_migration_source_commit_seconds",
    "How long commits took at sources, by the servers' clocks, and whether something was copied meanwhile",
    ["copying"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0),
)
PACE = Gauge(
    "cellway_migration_pace", "Chunks copied at once out of a cell; below 1: for this share of the time", ["cell"]
)
WAITED = Counter("cellway_migration_waited_seconds", "How long chunks waited, to spare their sources")
