-- What was logged was for moves that go on from elsewhere, or not at all.
DELETE FROM cellway.log
