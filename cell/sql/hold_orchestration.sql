-- Nobody claims it and nobody records anything of it before the operator's transaction ends.
SELECT o.*, clock_timestamp() AS seen_at FROM cell.orchestrations o WHERE o.orchestration_id = $1 FOR UPDATE
