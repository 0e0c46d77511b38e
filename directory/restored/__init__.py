"""Databases that were restored from a backup know less than was decided since. Before anybody uses them again:

    cell      a cell's database: its fences are closed, and only those are opened again that live there by now
    control   the control database: epochs do not go back, and assignments are what the cells' fences say

Both are for whoever restores, with the addresses of the databases in hand; the programs are stopped meanwhile.
What is decided about each tenant is in `rules.restoring`.
"""
