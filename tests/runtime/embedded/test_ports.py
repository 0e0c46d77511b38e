"""Free ports, and a sentence for a taken one."""

import socket

import pytest

from runtime.embedded import ports
from runtime.embedded.errors import PortTaken


def test_free_ports_are_all_different_and_free() -> None:
    """Two servers that start together never get the same one."""
    chosen = [ports.free_port() for _ in range(50)]
    assert len(set(chosen)) == 50
    assert all(ports.is_free(port) for port in chosen)


def test_a_taken_port_is_named_with_the_setting_to_change() -> None:
    """The sentence tells what to do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"Port {port} on 127\.0\.0\.1 is taken.*SOME_PORT"):
            ports.require_free(port, "127.0.0.1", "SOME_PORT")
    ports.require_free(port, "127.0.0.1", "SOME_PORT")
