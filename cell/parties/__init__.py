"""Somebody outside the cell at whom the steps of workflows act, by a key.

- `seams`      what can be asked of whom: identity, billing, mail, resources
- `memory`     how a party that we play ourselves keeps its promises: what it remembers of every key
- `identity`, `billing`, `mail`, `resources`   played by this cell, in tables of their own
- `smtp`       mail by a mail server, where there is one
- `local`      all of them, put together

A party commits by itself: what it did stays, whatever becomes of the step that asked for it. While the cell's
database is away all of them are away, and the work waits.
"""
