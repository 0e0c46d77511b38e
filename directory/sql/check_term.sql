-- First in the transaction of a decision: CW005 when it is not made in the latest term.
SELECT directory.check_term($1, $2)
