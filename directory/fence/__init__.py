"""The fence: one row a tenant in a cell's own database that says whether this cell may write, and at which epoch.

It belongs to the contract between the control plane and any database that holds tenants, ours or not, so it is
kept here and applied before the database's own schema. `schema/` holds its upgrades; `guard_table` puts its guard
on a table. All of it lives in the Postgres schema `cellway`.

Of the tables whose rows belong to tenants `catalog` reads what they are made of, and `sizes` how much a tenant has
in them.
"""

from importlib.resources import files

from runtime.schema import upgrades

COMPONENT = "fence"
UPGRADES = upgrades("directory.fence")
MOVER_ROLES = ("cell_mover",)
"""Of a cell's database: they bring rows without the triggers that these went through elsewhere."""
NOT_HERE = "CW001"
"""SQLSTATE: the fence refuses this tenant at this epoch. DETAIL holds the epoch that this database knows."""
OUTDATED = "CW002"
"""SQLSTATE: a decision arrived after a later one. DETAIL holds the epoch that this database knows."""

SUPERSEDED = "CW003"
"""SQLSTATE: a later mover carries this move. DETAIL holds its token."""

GUARD_TABLE = files("directory.fence").joinpath("guard_table.sql").read_text(encoding="utf-8")
"""`{table}` is guarded and its rows are visible to their own tenant only."""
