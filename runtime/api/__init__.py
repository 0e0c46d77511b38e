"""The HTTP conventions that every Cellway API keeps.

- `problem`   errors as RFC 9457 problem+json with a code, and the middleware that makes every failure one
- `connection`  aiohttp's server, which answers with problems to what is no HTTP or too large a head
- `endpoint`  an endpoint as data: path, models, answers; reading a request into values, or a 4xx
- `openapi`   the OpenAPI 3.1 document, generated from the same data
- `pages`     page sizes, and page tokens that cannot be made up or carried elsewhere
- `filters`   the AIP-160 filter language: text → tree (pure), tree → SQL with bound parameters (pure)
- `ordering`  `order_by`, and the keyset condition that continues after a row (pure)
- `texts`     text types that a database can hold: no NUL, no control characters, bounded

I/O happens in `endpoint` (reading a body) and `connection`, and nowhere else.
"""
