"""Placement decides which cell a tenant lives in, registers cells, and carries decisions out.

In reading order:

- `rules/`       pure: choosing a cell, comparing fences with assignments, whether a cell has proved itself, how
                 long a move would take
- `balancing/`   pure: choosing and levelling by arrays, what it takes and what comes of it; plans in waves
- `creation`     a tenant is asked for: choose a cell, record it, open it there, answer with its first key
- `decisions`    suspend, resume, delete: record first, then tell the cell
- `carrying`     tells a cell what the directory has decided; idempotent, so anybody may do it again
- `reconciler`   finishes what was recorded and not carried out, whoever died in between
- `surveying`    looks at a move before there is one: what is in its way, how long it would take
- `gathering`    the whole fleet as arrays, from what the directory knows
- `planning/`    plans become moves: made, approved, carried out in waves by whoever leads; drains
- `proving`      asks a cell who it is
- `cells`        registers cells, has them prove who they are, opens those that were not ready
- `recoveries`   what it takes to bring a lost cell back, and what is lost if it stays away
- `reach`        which cells have lately not answered, and when each last did
- `measuring`    asks cells what their tenants take, by the minute; `demands` is what they are expected to take
- `leader`       which placement acts where only one may; what it decides carries the number of its term
- `auditing`     writes down what is decided, before it is done, and what came of it after
- `witnesses`    what the registry and the routers say of cells, beside what is found here
- `checks/`      the invariants of the running system, each with what to do when it does not hold
- `api/`         the endpoints for operators; `access` who is one, and in which role
- `seeds`       what cells derive API keys from
- `readiness`    upgrades the directory's schema, and says when it can be used
- `app`          the only place that builds things

A decision is recorded in the directory before anything is done about it. Whoever finds it undone does it: the
request that made it, the reconciler of any instance, or the client's retry. So every line may be the last one.
I/O happens through the directory's seams, in everything but `rules/`, `balancing/`, `reach`, `seeds` and `access`.
"""
