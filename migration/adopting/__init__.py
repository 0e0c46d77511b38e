"""Takes a database that is not ours into the fleet, and lets it go again without a trace.

- `rules/found`        what was found there: tables, columns, references, roles
- `rules/findings`     what is ready, what is in the way, and how to mend it
- `rules/deeds`        the SQL that adopts, and the SQL that takes it all out again
- `inspecting`         reads the catalogue, and looks at rows where the catalogue does not tell
- `applying`           adopts: what waits for nobody first, then all triggers in one short transaction
- `removing`           takes everything out again
- `report`             what is told about all of it

`python -m migration.adopting` answers with one JSON document; `cellway adopt` shows it to people.
"""
