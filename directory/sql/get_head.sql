-- Where the stream stands, and whose it is.
SELECT seq, identity::text AS identity FROM directory.head
