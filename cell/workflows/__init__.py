"""What a cell does in several steps.

- `provisioning`  namespaces: what they need in this cell, given and taken back
- `adoption`      work of programs of before, carried on as orchestrations
- `onboarding`, `trial`, `plan_change`, `suspension`, `offboarding`   the life of a customer
- `subscription`  what several of them do with the subscription's row
- `asked`, `exporting`, `deleting`   steps that are asked like a party
- `beginning`     who asks for what: the API and the control contract
- `lifecycle`     the whole life of a customer
- `all`           every version of every workflow that may still be under way, and every kind of job
"""
