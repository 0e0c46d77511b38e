"""What judges a run is itself judged here."""
