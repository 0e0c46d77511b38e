"""Ports: free ones below the range that outgoing connections use, and a sentence for a taken one."""

import random
import socket
from contextlib import closing
from pathlib import Path

from runtime.embedded.errors import PortTaken

_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 15_000  # below are the well-known ports of databases, proxies and dashboards
_TRIES = 200

_handed_out: set[int] = set()  # never the same one twice; bounded by the number of ports


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens.

    The system's own choice comes from the range of outgoing connections: while a server is down, some
    connection may take its port, or a client that tries again connects to itself. So we look below it.
    """
    highest = _first_ephemeral() - 1
    for _ in range(_TRIES):
        port = random.randint(_LOWEST, highest) if highest > _LOWEST else _chosen_by_system(host)  # noqa: S311 no secret
        if port not in _handed_out and is_free(port, host):
            _handed_out.add(port)
            return port
    return _chosen_by_system(host)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    return _bind_error(port, host) is None


def require_free(port: int, host: str, setting: str) -> None:
    """Raise `PortTaken`, which names the port and the setting to change."""
    if (error := _bind_error(port, host)) is not None:
        raise taken(port, host, setting, error)


def taken(port: int, host: str, setting: str, error: OSError | None = None) -> PortTaken:
    """The sentence for a port that cannot be had."""
    if isinstance(error, PermissionError):
        return PortTaken(f"Port {port} on {host} needs more rights than we have: set {setting} to one above 1023.")
    return PortTaken(
        f"Port {port} on {host} is taken by another program: stop it, or set {setting} to a free port."
    )


def _bind_error(port: int, host: str) -> OSError | None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        # As servers do: connections of a server that has just ended must not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def _chosen_by_system(host: str) -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _first_ephemeral() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 49_152  # RFC 6335, section 6
