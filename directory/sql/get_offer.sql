-- Which of its offers a cell makes now.
SELECT offer FROM directory.rooms WHERE cell_id = $1
