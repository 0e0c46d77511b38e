"""How long a customer waits: from the operator's request until the first namespace is there.

- `__main__`  starts a platform with one cell, onboards, prints, writes results/onboarding.json
- `customers` one customer: asked for at placement, followed through the router, looked at when it is done
- `effects`   what lies in the cell's database afterwards: each effect once
"""
