-- What this transaction writes as the time: a row that has it was written here.
SELECT now()
