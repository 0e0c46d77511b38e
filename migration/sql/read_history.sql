-- Numbers of transactions mean nothing in another server's history.
SELECT cellway.history()
