-- Tenants can be moved: what their writers change can be captured, and a mover may read, bring and remove their rows.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_class c
        JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = 'cellway_guard'
        WHERE c.relnamespace = 'cell'::regnamespace AND c.relkind = 'r' ORDER BY 1
    LOOP
        PERFORM cellway.capture_table(format('cell.%I', name)::regclass, 'tenant_id');
        EXECUTE format('GRANT SELECT, INSERT, DELETE ON cell.%I TO cell_mover', name);
    END LOOP;
END
$$;

-- Also for rows that a mover brings, for whom no ordinary trigger fires.
ALTER TABLE cell.allocations ENABLE ALWAYS TRIGGER count_came;
ALTER TABLE cell.allocations ENABLE ALWAYS TRIGGER count_went;

GRANT USAGE ON SCHEMA cellway, cell TO cell_mover;
GRANT SELECT ON cellway.tables TO cell_mover;
GRANT EXECUTE ON FUNCTION cellway.enter, cellway.lock_key, cellway.set_fence, cellway.take, cellway.act, cellway.note,
    cellway.forget_notes, cellway.hand_over, cellway.set_captured, cellway.logged, cellway.forget_logged,
    cellway.history, cellway.key_of, cellway.name_of TO cell_mover;
