"""Moves a tenant to another cell while it is being read and written, in any database whose tables name a tenant.

In reading order:

- `rules/`     pure: tables and statements, whether rows fit, chunks, what is hashed how
- `catalog`    reads from a database which tables belong to tenants
- `ends`       one database of a move: readers with a snapshot, writers with a token
- `copying`    the first copy, in chunks whose progress lies beside the rows
- `stepping`   from one snapshot of the source to a later one (docs/decisions/0010)
- `verifying`  whether both ends are equal, exactly, while writers go on
- `sequences`  numbers are given out once
- `removing`   what is left of a tenant, a bite at a time
- `fences`     what is told to the fence of either end
- `switching`  fence, last step, commit, open: what the tenant's writers wait for
- `carrier`    one move through its phases
- `mover`      claims moves, and keeps their leases
- `databases`  where the cells' databases are
- `app`        the only place that builds things

It knows nothing of placement, which plans moves in the directory, nor of the tables of any service.
"""
