"""What a move of rows decides, without I/O.

`statements` writes SQL for a table; `hashing` says how a row is hashed so that equal means equal; `chunks` cuts a
table into parts; `pace` says how much may be copied at once; `names` quotes what goes into a statement's text.
What is known of tables, and what keeps rows out of others, cells say too: that is in `directory.rules`.
"""
