"""All metrics of the cell. No tenant is a label: there may be a million of them."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "cellway_cell_requests_total", "Requests by endpoint and class of status", ["endpoint", "status"]
)
REQUEST_SECONDS = Histogram(
    "cellway_cell_request_seconds",
    "Time from head to answer",
    ["endpoint"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
REFUSED_BY_FENCE = Counter(
    "cellway_cell_fence_refusals_total", "Requests and jobs that the fence refused", ["what"]
)
WAITERS = Gauge("cellway_cell_operation_waiters", "Requests that wait for an operation to end")
HINTS = Counter("cellway_cell_hints_total", "Hints to the workers: sent, spared, failed, dropped", ["outcome"])
JOBS = Counter("cellway_cell_jobs_total", "Attempts at jobs by how they ended", ["actor", "outcome"])
JOB_SECONDS = Histogram("cellway_cell_job_seconds", "Time of one attempt", ["actor"])
STUCK = Counter(
    "cellway_cell_steps_stuck_total",
    "Steps that wait for a person: they could not be undone",
    ["workflow", "step"],
)
WORK_DUE = Gauge("cellway_cell_work_due", "Tenants and lanes that the last look found with work that is due")
WORK_TAKEN = Counter("cellway_cell_work_taken_total", "Jobs and turns of workflows that workers began", ["lane"])
USAGE_ROLLED = Counter("cellway_cell_usage_records_rolled_total", "Usage records that went into their minutes")
EXPIRED = Counter("cellway_cell_expired_rows_total", "Rows removed because their time was over", ["table"])
LOADS = Counter("cellway_cell_load_tenants_total", "Tenants whose load was handed over, or dropped", ["outcome"])
