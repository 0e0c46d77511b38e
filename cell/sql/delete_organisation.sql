-- Its users go along.
DELETE FROM cell.organisations WHERE organisation_id = $1
