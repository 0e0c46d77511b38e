-- Whether the mover may bring rows without the triggers that they went through elsewhere; since Postgres 15.
SELECT has_parameter_privilege($1::name, 'session_replication_role', 'SET')
