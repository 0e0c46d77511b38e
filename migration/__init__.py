"""Moves a tenant to another cell while it is being read and written.

Its parts come with the mover: capture, copy, step, verify, fence, switch. Until then a tenant stays in the cell
that placement chose. What it will rest on is here already: the fence in every cell's database (`directory.fence`),
epochs from one sequence, and the compare-and-set of an assignment (`directory.truth.Directory.reassign`).

Services that are not ours move like our own: `adopting` prepares their databases, and `steward` speaks the control
contract on their behalf.
"""
