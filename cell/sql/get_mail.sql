-- With its age by the database's clock.
SELECT m.*, extract(epoch FROM clock_timestamp() - m.created_at)::float8 AS age_seconds
FROM cell.mails m WHERE m.mail_key = $1
