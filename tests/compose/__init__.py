"""The stack in `compose/`, by its own files.

- `reading`    the Compose files as Docker reads them: `extends`, several files, variables
- `checking`   what is wrong with a stack in the eyes of whoever has to defend it (pure)
- `stage`      a folder of secrets, and the stack standing, for the tests that ask for them
- `standing`   every service's own command as a plain process, with real servers standing in for the images
- `image`      the Dockerfile's steps, in a clean root file system
"""
