"""The protocol of a move as a small model, all of whose states are looked at."""
