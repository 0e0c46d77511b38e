-- Who lives elsewhere: were there still rows of theirs, they could be written in two places without the guard.
SELECT f.tenant_id FROM cellway.fence f WHERE f.state = 'moved'
