-- How long a commit takes here that waits for the log as writers' do, by the server's clock: neither the way to it nor
-- this program's own turns count. Nobody reads the message.
SELECT set_config('cellway.probe', extract(epoch FROM clock_timestamp())::text, false);
BEGIN;
SELECT pg_logical_emit_message(true, 'cellway', '');
COMMIT;
SELECT set_config('cellway.probe',
                  (extract(epoch FROM clock_timestamp()) - current_setting('cellway.probe')::numeric)::text, false)
