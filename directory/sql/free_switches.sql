-- Others may switch in its cells.
DELETE FROM directory.move_switches WHERE move_id = $1
