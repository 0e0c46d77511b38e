-- One claim at a time ("claims" in ASCII): two that count a cell's moves at once would both take the last place.
SELECT pg_advisory_xact_lock(109317141917043)
