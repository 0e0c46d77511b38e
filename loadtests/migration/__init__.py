"""Moves, measured: copying and verifying beside peers, and what clients notice of moves under load."""
