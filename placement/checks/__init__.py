"""The invariants of the running system, each with what to do when it does not hold.

- `doctor`  asks everything, each by a deadline, and answers with one list
- `cells`   every cell answers, finds itself well, and its fences agree with the directory
- `cache`   what routers read is what the directory says
- `fleet`   decisions are carried out, and there is room for tenants, now and in the weeks to come
"""
