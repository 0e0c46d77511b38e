-- Operation before job, in every transaction, so that cancelling and running cannot deadlock.
SELECT * FROM cell.jobs WHERE operation_id = $1 FOR UPDATE
