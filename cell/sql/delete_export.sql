-- Of somebody who stays after all.
DELETE FROM cell.exports WHERE export_id = $1
