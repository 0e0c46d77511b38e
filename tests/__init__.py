"""Tests mirror the packages. Servers are real, started once a session, on ports that the system chooses."""
