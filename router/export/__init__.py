"""The table for other proxies: HAProxy forwards, and our table still rules.

`python -m router.export haproxy --output DIR` writes a whole configuration with its maps; `--follow` keeps them
and a running HAProxy current through its runtime socket, without a reload. In reading order:

- `plan`            what is exported to where; a cell as HAProxy's server, a tenant's home as a map's value
- `identification`  the rules of `router.rules.identify`, in HAProxy's language
- `forwarding`      headers both ways, and what becomes of a 421
- `answers`         our refusals, word for word
- `configuration`   all of it in one file
- `folder`          writes the files, each whole or not at all
- `ledger`          what HAProxy is to hold, kept like the table
- `resolving`       cells' addresses
- `runtime_socket`  commands to a running HAProxy, and their answers
- `told`            what a running HAProxy holds; `teller` makes it what the ledger says
- `app`             builds it, for one export or for following

I/O happens in `folder`, `resolving`, `runtime_socket` and, through the router's follower, in the directory's
cache. When that cache is away HAProxy stays as it is; when HAProxy is away the files go on being kept, and it is
brought up to date as soon as its socket is there.
"""
