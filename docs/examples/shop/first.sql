-- In the first database: it counts this far and no further, so that others can go on above.
ALTER SEQUENCE orders_id_seq MAXVALUE 1000000000000;
ALTER SEQUENCE order_lines_id_seq MAXVALUE 1000000000000;
