-- The mail server took it.
UPDATE cell.mails SET state = 'SENT', sent_at = clock_timestamp() WHERE mail_key = $1
