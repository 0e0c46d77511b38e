"""Load scenarios: what people should see of the platform under load and failure before they trust it.

In reading order:

- `catalogue`  the eleven scenarios, as data: what each proves, its load, its faults, its goals
- `scenario`   what such a value holds
- `rules/`     decided by pure code: when requests are due (`arrivals`), what came of them (`samples`, `run`),
               whether that is good enough (`goals`), what is told of it (`telling`)
- `conductor`  one run: calibrate, load, inject faults, judge
- `stage`      where it happens: an embedded platform, or a URL of one's own; `routers` two of them behind HAProxy
- `faults`     the actions that a timeline names
- `load`       starts the process that makes the load, and reads what it noted
- `driver`     that process: Locust with an open loop; `calls` what a tenant asks, `connections` how it is sent
- `locustfile`, `ui`  the same load by Locust's web interface
- `events_cell`  the cell's program with one page more, a stream of events, as services of one's own have
- `report/`    pages for people, from the JSON
"""
