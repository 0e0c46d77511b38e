"""The supervisor behind `cellway up`: a whole platform on one machine, in one folder.

In reading order:

- `up`           the command: start, print where everything listens, show the table until Ctrl-C
- `platform`     `Platform(root, cells)`: start, stop, and ask after its parts; the tests use it as well
- `blueprint`    which parts make a platform of N cells, and what each is told
- `parts`        a server or a program: how one part starts, becomes ready, and stops
- `supervisor`   starts parts as soon as what they need is ready, restarts what dies, stops in reverse
- `states`       the states of a part as a table (pure)
- `layout`       the folder: what is remembered, secrets, the lock
- `settings`     ports and servers of one's own (`CELLWAY_UP_…`)
- `registration` makes the cells known to placement
- `table`        what people see: a live table on a terminal, lines elsewhere
- `errors`       what can go wrong, each a sentence with what to do

Parts are processes; nothing of router, cell or placement is imported here.
"""
