"""Builds the two programs of a cell; nothing else does.

- `shared`  what both have: health, tasks, the way to Redis, the admin port
- `api`     the tenants' API with the control contract
- `worker`  background work; it imports nothing of the API, so that it starts quickly
"""
