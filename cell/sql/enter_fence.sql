-- Enters a tenant's transaction without an API key: for the control API and for jobs.
SELECT epoch, state FROM cellway.enter($1, $2)
