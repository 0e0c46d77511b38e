-- Of a role that an adoption has made; likewise quoted by the server.
SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)
