"""Connections to cells.

- `connection`  one HTTP/1.1 connection: what is sent, and the answer as head and pieces, with back-pressure
- `remains`     what a cell said before it closed, when only a failing write tells that it did
- `pool`        the connections to one cell: bounded, kept, and told at once when the cell falls silent
- `cells`       all cells: finds the pool of one, watches for silence, closes what is no longer needed

Our own on `asyncio.Protocol` and a strict parser, not an HTTP client: a client library decides by itself
when to send again, repairs what it receives, and knows headers as text.
"""
