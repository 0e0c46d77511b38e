"""Jobs: one action each, done once, now or later. Postgres is the truth, Redis only wakes.

- `registry`  jobs declared as data: what each does, how it is tried again, in which lane, at whose provider's
- `queueing`  asking for one, in the transaction of whoever asks
- `runner`    claimed jobs, carried out and recorded
- `operating` an operator's look at them, and an operator's word: retry, discard

An attempt is counted before it begins, and its number is its owner's: an effect and its completion are one
transaction, which nobody else's number can commit.
"""
