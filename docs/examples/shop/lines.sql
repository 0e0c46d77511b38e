-- What `cellway adopt` asks for: an order's lines say whose they are. The shop goes on as it was; a trigger fills it.
ALTER TABLE order_lines ADD COLUMN customer_id bigint;
UPDATE order_lines l SET customer_id = o.customer_id FROM orders o WHERE o.id = l.order_id;
CREATE FUNCTION line_customer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.customer_id := (SELECT customer_id FROM public.orders WHERE id = NEW.order_id);
    RETURN NEW;
END
$$;
CREATE TRIGGER line_customer BEFORE INSERT OR UPDATE OF order_id ON order_lines
    FOR EACH ROW EXECUTE FUNCTION line_customer();
ALTER TABLE order_lines ALTER COLUMN customer_id SET NOT NULL;
CREATE INDEX ON order_lines (customer_id);
