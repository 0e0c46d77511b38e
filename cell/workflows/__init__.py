"""What a cell does in several steps.

- `provisioning`  namespaces: what they need in this cell, given and taken back
- `adoption`      work of programs of before, carried on as orchestrations
- `all`           every version of every workflow that may still be under way, and every kind of job
"""
