"""The operator's command line: `cellway`.

In reading order:

- `app`        the commands, what their exit codes mean, and errors as one sentence
- `whereabouts` where placement and router are, and the operator's token: from the environment or `.cellway/`
- `calls`      HTTP calls, and what their failures mean for people
- `output`     tables for people, JSON for scripts
- `steps`      an orchestration's steps as a tree
- `moves`      a move with its phases
- `cells`      what a cell holds, how it is, what its recovery needs; `amounts` as people type and read them
- `commands/`  a file for each group of commands
- `platform/`  the supervisor behind `cellway up`
- `top/`       the display behind `cellway router top`

Nothing of the programs is imported here: they are called over HTTP, or started as processes.
"""
