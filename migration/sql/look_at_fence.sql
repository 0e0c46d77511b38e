-- What this database's fence knows of the tenant; nulls: it has never been here.
SELECT epoch, state FROM cellway.enter($1, 0)
