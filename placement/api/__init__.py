"""The endpoints for operators, by resource; each module holds its models and its handlers.

- `front`    every request's way in: who asks, one log line and one measurement each
- `values`   types of fields that several resources share
- `tenants`, `customers`, `keys`, `cells`, `checks`
"""
