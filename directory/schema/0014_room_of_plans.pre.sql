-- What each move of a plan takes of its destination (in the order of `values.TAKEN`), and the number of the cell's offer
-- that it was planned by; 0: of before, so it is not compared.
ALTER TABLE directory.plan_moves
    ADD COLUMN takes double precision[] NOT NULL DEFAULT '{0,0,0,0,0,0,0}' CHECK (cardinality(takes) = 7),
    ADD COLUMN offer bigint             NOT NULL DEFAULT 0;
