"""The tenants' API.

- `endpoints`    the one list: what the API can do; routes and the OpenAPI document come from it
- `serving`      what surrounds each handler: headers, fence, key, transaction, errors, metrics
- `context`      what a handler may use
- `models`       requests and answers
- `lists`        pages, filters and orders over rows
- `accounting`   every change goes to the audit log, and is counted
- `idempotency`  the first answer, again
- `accounts`, `namespaces`, `storage`, `keys`, `operations`, `quotas`, `usage`, `audit`   the handlers
- `notices`      waking those who wait for an operation
"""
