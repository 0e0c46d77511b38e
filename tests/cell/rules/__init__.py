"""The rules of the cell, without any I/O."""
