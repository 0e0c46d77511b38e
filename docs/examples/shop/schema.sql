-- The shop as its makers wrote it: customers share its tables, and nothing here knows of cells.
CREATE TYPE order_state AS ENUM ('open', 'paid', 'sent');

CREATE TABLE products (
    sku   text PRIMARY KEY,
    title text NOT NULL,
    cents integer NOT NULL CHECK (cents > 0)
);
INSERT INTO products VALUES ('tea', 'Tea', 450), ('cup', 'Cup', 1200);

CREATE TABLE customers (
    id       bigint PRIMARY KEY,
    name     text NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE orders (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers ON DELETE CASCADE,
    state       order_state NOT NULL DEFAULT 'open',
    placed_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (customer_id, id)
);

CREATE TABLE order_lines (
    id       bigserial PRIMARY KEY,
    order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
    sku      text NOT NULL REFERENCES products,
    quantity integer NOT NULL CHECK (quantity > 0)
);
CREATE INDEX ON order_lines (order_id);

-- Without a key: nobody ever needed one.
CREATE TABLE visits (
    customer_id bigint NOT NULL,
    page        text NOT NULL,
    at          timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON visits (customer_id);
