"""Everything that placement counts. No label grows with tenants."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("cellway_placement_requests", "Requests by operation and status", ["operation", "status"])
SECONDS = Histogram("cellway_placement_request_seconds", "How long requests took", ["operation"])
PLACED = Counter("cellway_placement_placed", "Tenants placed, by cell", ["cell"])
NOWHERE = Counter("cellway_placement_nowhere", "Tenants asked for that fit into no cell")
CHOSEN_AGAIN = Counter("cellway_placement_chosen_again", "Choices made anew, because room was gone meanwhile")
COUNT_SECONDS = Gauge("cellway_placement_count_seconds", "How long it took to count what all tenants take")
CARRIED = Counter("cellway_placement_carried", "Decisions told to cells, by outcome", ["outcome"])
UNSETTLED = Gauge("cellway_placement_unsettled", "Decisions that no cell has carried out yet, at the last look")
PUBLISHED = Gauge("cellway_placement_published_change", "Number of the last change in the cache")
UNCONCLUDED = Counter(
    "cellway_placement_audit_unconcluded", "Decisions whose outcome could not be written into the audit log"
)
SILENT_CELLS = Gauge("cellway_placement_silent_cells", "Cells that have lately not answered")
LEADS = Gauge("cellway_placement_leads", "Whether this process leads just now", ["resource"])
TERM = Gauge(
    "cellway_placement_term", "Number of the term in which this process leads, 0 while it does not", ["resource"]
)
DAYS_UNTIL_FULL = Gauge(
    "cellway_placement_days_until_full",
    "Days until a pool is full of a resource: earliest, likely, latest; +Inf: not within a year",
    ["pool", "resource", "estimate"],
)
USED_SHARE = Gauge(
    "cellway_placement_pool_used", "Share of a pool's limit that is used, by resource", ["pool", "resource"]
)
SEEN = Gauge("cellway_placement_seen", "Processes that the registry told of last, by service", ["service"])
PLANS = Counter("cellway_placement_plans", "Plans by kind and what became of them", ["kind", "event"])
PLAN_MOVES = Counter("cellway_placement_plan_moves", "Moves of plans: begun, refused, withdrawn", ["outcome"])
PLANNING_SECONDS = Histogram(
    "cellway_placement_planning_seconds",
    "How long a plan took to be made",
    buckets=(0.5, 1, 2, 5, 10, 20, 40, 80, 160),
)
RATIO = Gauge("cellway_placement_ratio", "The worst ratio when a plan was last made, by resource", ["resource"])
DRAINING = Gauge("cellway_placement_draining_cells", "Cells that drain, as whoever leads sees them")
LOAD_AGE = Gauge(
    "cellway_placement_load_age_seconds", "Since all cells were asked for load; -1 while another placement does it"
)
LOAD_SECONDS = Gauge("cellway_placement_load_round_seconds", "How long the last round of asking all cells took")
LOAD_UNMEASURED = Gauge(
    "cellway_placement_load_unmeasured_tenants", "Tenants of whom no cell told anything in the last round"
)
CELLS = Gauge("cellway_placement_cells", "Cells by state", ["state"])
CELL_STANDING = Gauge(
    "cellway_placement_cell_standing",
    "0 well, 1 doubtful, 2 down, in the eyes of placement, the registry and routers; of cells that are to serve",
    ["cell"],
)
CELL_TENANTS = Gauge("cellway_placement_cell_tenants", "Tenants that live in a cell", ["cell"])
CELL_CAPACITY = Gauge("cellway_placement_cell_capacity_tenants", "How many tenants a cell may hold", ["cell"])
MOVES = Gauge("cellway_placement_moves", "Moves that have not ended, by phase", ["phase"])
MOVES_OBSTRUCTED = Gauge("cellway_placement_moves_obstructed", "Of them, those that something is in the way of")
MOVE_OLDEST = Gauge(
    "cellway_placement_move_oldest_seconds",
    "How long the oldest move has been in a phase, without those that an operator has wait",
    ["phase"],
)
UNFINISHED_PLANS = Gauge(
    "cellway_placement_plans_unfinished", "Plans that have not ended", ["kind", "state", "automatic"]
)
RECORDED = Gauge("cellway_placement_recorded_change", "Number of the last change in the control database")
