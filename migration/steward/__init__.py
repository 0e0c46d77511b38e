"""The steward: speaks the control contract for a cell whose service is not ours.

It runs beside the service, and comes to its database as the mover's role, which `cellway adopt` has made. What the
service is about it does not know: it opens and closes the fence, removes a tenant's rows, and tells how it is.

- `serving`    the contract: who may call, what each call answers
- `tenants`    carries decisions about tenants out
- `contents`   what would move, and how much of it a tenant has
- `checks`     what must hold in an adopted database
- `settings`, `app`, `errors`
"""
