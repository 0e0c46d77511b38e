-- Epochs only grow, whoever asks.
SELECT nextval('directory.epochs')
