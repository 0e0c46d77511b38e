"""The tenants' API.

- `endpoints`    the one list: what the API can do; routes and the OpenAPI document come from it
- `serving`      what surrounds each handler: headers, fence, key, transaction, errors, metrics
- `context`      what a handler may use
- `models`       requests and answers
- `lists`        pages, filters and orders over rows
- `idempotency`  the first answer, again
- `accounts`, `namespaces`, `keys`, `operations`   the handlers
- `notices`      waking those who wait for an operation
"""
