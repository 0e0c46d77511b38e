"""What a history must be like. Pure: values go in, what is wrong with them comes out.

- `values`    what clients noted: attempts, reads, and what was there in the end
- `registers` one value that is changed by compare-and-set: lost, stale, doubled
- `logs`      entries that are only ever added: lost, doubled, out of order
- `works`     what was asked of the workers: each effect once
- `verdict`   all of it, counted
- `pauses`    how long clients waited while a tenant was switched
"""
