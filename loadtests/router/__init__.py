"""The router beside other proxies, in one run: `python -m loadtests.router` (`make bench-router`).

Read in this order:

    scenarios    what is asked of every proxy, as data
    fleet        10,000 tenants over four cells, their requests as bytes, and their snapshot for the directory
    upstream     the cells: one nginx, and `event_cell`, which sends events
    proxies      the four: nginx.conf, haproxy.cfg, `plain_proxy` (what one would write first), and ours whole
    checking     before anything is measured: each answers, and sends a tenant to its own cell
    pinned       a child process on one core; `cpu`: what a process has used, by the kernel's accounting
    wrk          the closed-loop client (requests.lua); `open_loop`, `streams`: two that wrk cannot be
    rounds       round-robin through the proxies, so that noise hits all of them; `noise` says how much there was
    figures      of one measurement, and medians over the rounds
    report       the tables, the ratios, results/router.json

Core 0 belongs to the proxy that is measured, the others there are idle; core 1 to the client, to the cells and to
this program. Requests a second are therefore bounded by core 1 too, where a proxy is cheap: compare proxies by
their CPU time a request.
"""
