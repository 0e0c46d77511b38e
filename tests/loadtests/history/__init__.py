"""The history checker: its rules, with planted faults; its proxy; and a short run of all of it."""
