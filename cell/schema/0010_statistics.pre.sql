-- What a mover may do since the fence knows it.
GRANT EXECUTE ON FUNCTION cellway.refresh_statistics TO cell_mover;
