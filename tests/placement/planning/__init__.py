"""Plans become moves: gathered, made, approved, carried out."""
