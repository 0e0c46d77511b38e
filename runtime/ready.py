"""`python -m runtime.ready [HOST:]PORT …`: whether the programs with these admin ports are ready, as an exit code.

For whoever starts containers and asks again and again; so nothing is imported that takes its time.
"""

import socket
import sys

ANSWER_SECONDS = 3.0


def is_ready(place: str) -> bool:
    """What `/health/ready` says; no answer in good time is a no."""
    host, _, port = place.rpartition(":")
    try:
        with socket.create_connection((host or "127.0.0.1", int(port)), timeout=ANSWER_SECONDS) as connection:
            connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.makefile("rb").readline(100).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if sys.argv[1:] and all(map(is_ready, sys.argv[1:])) else 1)
