"""Carries out workflows, step by step, so that every effect happens once and none is left behind.

- `actions`   what a step does: here, in the tenant's own transaction, or at somebody else's, by a key
- `registry`  workflows with their actions, every version that may still be under way
- `journal`   what is recorded of an orchestration, as values; one statement writes all that changed
- `runner`    one owner's turn: claim, act, record, until there is nothing to do now
- `starting`  beginning one, in the transaction that asks for it; telling it something
- `operating` an operator's look at them, and an operator's word: retry, skip, cancel

What comes next is decided in `rules/orchestration`. Whatever happens to a process here, Postgres knows what was
intended and what was done; the sweep finds what nobody is at.
"""
