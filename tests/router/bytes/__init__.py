"""What the router does with every odd byte, seen from outside: from a client's socket and from a cell's.

- `messages`: requests and responses as bytes, and short ways to write odd ones.
- `wire`: a cell that records bytes, a router before it, and the questions that the tests ask of both.
- `views`: the same bytes read by two other parsers, h11 and aiohttp's, which must agree.
- `mutations`: valid messages with something wrong.
- `test_request_*`, `test_response_*`: tables, one rule each (RFC 9110, RFC 9112).
- `test_*_agree`: whatever passes is read alike by everybody, or nothing passes.
"""
