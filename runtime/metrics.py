"""What every program tells of itself, beside what it counts."""

from prometheus_client import Gauge

CHECK_OK = Gauge(
    "cellway_check_ok",
    "1 while a check of /health/ready passes, looked at with each scrape",
    ["check", "required"],
)
AWAY = Gauge("cellway_away", "How many of those who need it get no answer just now", ["what"])
