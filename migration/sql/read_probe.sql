-- What the last probe of this connection took (seconds).
SELECT current_setting('cellway.probe')::float8
