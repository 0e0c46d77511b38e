"""`python -m cell.states`: the state tables as Markdown (`docs/states.md`)."""

import sys

from cell.rules.tables import document

if __name__ == "__main__":
    sys.stdout.write(document())
