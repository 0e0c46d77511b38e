"""The endpoints for operators, by resource; each module holds its models and its handlers.

- `front`    every request's way in: who asks, and may they; one log line and one measurement each, and of every
             change an entry in the audit log
- `values`   types of fields that several resources share
- `capacities`, `recovery`  what cells hold, and what a lost one needs
- `homes`    in which cell a tenant's work is
- `tenants`, `customers`, `keys`, `cells`, `checks`, `orchestrations`, `jobs`, `moves`, `previews`,
  `plans`, `audit`
"""
