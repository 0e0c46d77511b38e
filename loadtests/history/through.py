"""A mover whose way to the directory leads through a proxy: changes the port in its DSN, and becomes the program.

python -m loadtests.history.through <port>
"""

import os
import sys
from urllib.parse import urlsplit

DSN = "CELLWAY_MIGRATION_DIRECTORY_DSN"


def through(dsn: str, port: int) -> str:
    """The same database by another port."""
    parts = urlsplit(dsn)
    return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}").geturl()


if __name__ == "__main__":
    os.environ[DSN] = through(os.environ[DSN], int(sys.argv[1]))
    os.execv(sys.executable, [sys.executable, "-m", "migration"])  # noqa: S606 the program itself
