"""`python -m runtime.ready [--tls] [HOST:]PORT …`: are the programs at these admin ports ready? By its exit code.

For whoever starts containers and asks again and again; so nothing is imported that takes its time. With --tls the
page is asked by TLS; whose certificate it is does not matter here, where a program asks after itself.
"""

import socket
import sys

ANSWER_SECONDS = 3.0


def is_ready(place: str, *, tls: bool = False) -> bool:
    """What `/health/ready` says; no answer in good time is a no."""
    host, _, port = place.rpartition(":")
    try:
        with socket.create_connection((host or "127.0.0.1", int(port)), timeout=ANSWER_SECONDS) as connection:
            return _says_so(_wrapped(connection) if tls else connection)
    except OSError:
        return False


def _says_so(connection: socket.socket) -> bool:
    connection.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return connection.recv(100).startswith(b"HTTP/1.1 200 ")


def _wrapped(connection: socket.socket) -> socket.socket:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(connection)


if __name__ == "__main__":
    places = [word for word in sys.argv[1:] if word != "--tls"]
    sys.exit(0 if places and all(is_ready(place, tls="--tls" in sys.argv) for place in places) else 1)
