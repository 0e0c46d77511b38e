"""Finding work and sharing it out. Postgres is the truth, Redis only wakes.

- `hints`    telling the workers through Redis that a tenant has work; may be lost or doubled without harm
- `sweep`    finding the tenants whose work nobody was told of
- `turns`    a tenant's turn: some of its work is claimed and carried out, then the others have theirs
- `threads`  Dramatiq in this process, which takes the hints
- `rounds`   what is due now and then for any tenant, in bounded bites: `expiry` removes what is past its time,
             `bookkeeping` adds usage up

A hint names a tenant and a lane, never a piece of work, and there is at most one of them at a time: so the queue
is a ring of tenants, and who has a million jobs stands there once, like everybody.
"""
