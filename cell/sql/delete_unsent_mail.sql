-- What is on its way cannot be called back; what is not, is taken out.
DELETE FROM cell.mails WHERE mail_key = $1 AND state <> 'SENT'
