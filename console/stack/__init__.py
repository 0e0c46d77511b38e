"""What a platform of containers needs beside its files: a folder of secrets, and servers that know them.

In reading order:

- `contents`   which secrets there are and what is in each (pure)
- `folder`     makes the files that are missing; nothing that is there is ever replaced
- `roles`      the roles of a Postgres, as the addresses say that their programs are told
- `access`     the policies and tokens of a Consul
- `cell.acl`, `directory.acl`   what each user of a Redis may do

A secret is in one file, and what follows from it (the access list of a Redis, a cell's control token) is written
anew whenever it changes. The commands: `cellway secrets`, `cellway bootstrap roles`, `cellway bootstrap consul`.
"""
