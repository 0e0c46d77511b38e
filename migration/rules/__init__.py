"""What a move of rows decides, without I/O.

`tables` is what is known of a schema; `comparing` says what keeps a tenant's rows from one schema out of another;
`statements` writes SQL for a table; `hashing` says how a row is hashed so that equal means equal; `chunks` cuts a
table into parts; `names` quotes what goes into a statement's text.
"""
