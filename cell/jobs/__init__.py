"""Background work. Postgres is the truth, Redis only wakes.

- `registry`      jobs declared as data: steps, what undoes them, what marks their failure
- `provisioning`  the jobs that there are: giving a namespace what it needs in this cell, and taking it back
- `hints`         telling the workers through Redis that a job waits; may be lost or doubled without harm
- `sweep`         finding jobs that nobody took
- `expiry`        removing rows whose time is over
- `runner`        one attempt at one job: claim, steps, completion, each under the fence and the lease
- `cancelling`    ending an operation before its job does

I/O happens in all of them but `registry`. A job's effects and its completion are one transaction, guarded by the
token of the lease: who has lost the lease changes nothing.
"""
