-- Binds the tenant to the transaction, and says what the fence knows of it; nulls: it has never been here.
SELECT epoch, state FROM cellway.enter($1, 0)
