-- Hashes and lengths of texts mean nothing in another one.
SELECT current_setting('server_encoding')
