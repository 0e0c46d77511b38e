"""The control contract (`directory.control.contract`), served on the admin port to the control plane alone.

- `serving`   the token, the routes, the errors
- `tenants`   carrying decisions about tenants out: fence, state, first key, deletion
- `contents`  what would move, and how much of it a tenant has
- `keys`      API keys for the operator
- `customers` beginning the workflows of a customer's life
- `work`      orchestrations and jobs for the operator
"""
