-- In the transaction of its re-assignment; a second one about the same epoch is refused by the key.
INSERT INTO directory.move_decisions (move_id, epoch, decision, fresh) VALUES ($1, $2, $3, $4)
