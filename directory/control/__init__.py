"""The contract between the control plane and a cell, served on the cell's control address.

- `contract`  the paths and bodies, as pydantic models that both sides share
- `work`      the same for orchestrations and jobs
- `client`    the caller's side, with deadlines; checks the address it connects to
- `token`     how a cell knows the control plane: one secret, a token of its own for each cell
"""
