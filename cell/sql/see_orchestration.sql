-- One for the operator, and the time by which its lease and its waits are judged.
SELECT o.*, clock_timestamp() AS seen_at FROM cell.orchestrations o WHERE o.orchestration_id = $1
