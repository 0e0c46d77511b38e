-- total_size, on request only: it reads every row that matches.
SELECT count(*) FROM cell.accounts WHERE {filter}
