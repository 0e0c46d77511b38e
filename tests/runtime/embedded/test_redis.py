"""Embedded Redis (or Valkey), for real."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from runtime.embedded.errors import PortTaken
from runtime.embedded.redis import RedisServer

PASSWORD = "p%4 'q\"\\é"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("cell") / "redis", PASSWORD) as running:
        yield running


def test_it_asks_for_a_password_and_evicts_nothing(server: RedisServer) -> None:
    """An eviction would silently lose what was acknowledged."""
    with redis.Redis.from_url(server.url) as client:
        assert client.ping()
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100).startswith(b"-NOAUTH")


def test_the_password_is_in_no_file_and_no_command_line(server: RedisServer) -> None:
    """It reaches the server through a pipe."""
    assert PASSWORD.encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
    assert not any(PASSWORD.encode() in path.read_bytes() for path in server.data.rglob("*") if path.is_file())


def test_it_listens_on_this_machine_only(server: RedisServer) -> None:
    """127.0.0.1 is one address of many of the machine's own."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), timeout=30)


def test_acknowledged_writes_survive_kill_9(server: RedisServer) -> None:
    """The same folder, the same port, and everything that was acknowledged."""
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "7")
        port, child = server.port, server.child
        assert child is not None
        child.signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
        server.start()
        assert (client.get("kept"), server.port) == (b"7", port)


def test_a_taken_port_is_one_sentence(server: RedisServer, tmp_path: Path) -> None:
    """Two servers on one port: the second says which setting to change, and leaves nothing running."""
    second = RedisServer(tmp_path / "redis", PASSWORD, port=server.port, port_setting="THIS_PORT")
    with pytest.raises(PortTaken, match=rf"Port {server.port} .* set THIS_PORT"):
        second.start()
    assert second.pid is None
    second.stop()
