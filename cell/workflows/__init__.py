"""What a customer waits for, each a workflow as data and what its steps do.

- `provisioning`  what a namespace is given
- `onboarding`, `trial`, `plan_change`, `suspension`, `offboarding`   the life of a customer
- `subscription`  what several of them do with the subscription's row
- `asked`, `exporting`, `deleting`   steps that are asked like a party
- `beginning`     who asks for what: the API and the control contract
- `lifecycle`     all of them, for a worker
"""
