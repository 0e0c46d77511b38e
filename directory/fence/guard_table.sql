-- Puts the guard on one table; ENABLE ALWAYS, so that a replication role does not slip past it.
CREATE TRIGGER cellway_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION cellway.guard();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER cellway_guard;
