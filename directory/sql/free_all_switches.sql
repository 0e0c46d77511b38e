-- Nothing switches any more.
DELETE FROM directory.move_switches
