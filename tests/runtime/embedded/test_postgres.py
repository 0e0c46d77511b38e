"""Embedded Postgres: every one found on this machine, for real."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from runtime.embedded import unprivileged
from runtime.embedded.binaries import Postgres, every_postgres
from runtime.embedded.errors import CannotRunAsRoot, DataInUse, DataOfAnotherVersion, PortTaken, ServerFailed
from runtime.embedded.postgres import PostgresServer
from tests.runtime.embedded.processes import ended

PASSWORD = "p%4 'q\"é"
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root needs another uid")


@asynccontextmanager
async def connected(server: PostgresServer) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(server.admin_dsn)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(scope="module", params=every_postgres(), ids=lambda found: f"{found.source}-{found.major}")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    binaries: Postgres = request.param
    with PostgresServer(tmp_path_factory.mktemp("cell") / "postgres", PASSWORD, binaries=binaries) as running:
        yield running


async def test_a_fresh_folder_becomes_a_cluster(server: PostgresServer) -> None:
    """UTF-8, byte order, and nothing acknowledged before it is on the disk."""
    async with connected(server) as connection:
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
        assert await connection.fetchval("SELECT datcollate FROM pg_database WHERE datname = 'template1'") == "C"
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await connection.fetchval(f"SHOW {setting}") == "on"


async def test_everybody_needs_a_password_and_it_is_kept_as_scram(server: PostgresServer) -> None:
    """Also on 127.0.0.1, where other users of the machine are."""
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.dsn(password="wrong"))
    async with connected(server) as connection:
        kept = await connection.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")
    assert kept.startswith("SCRAM-SHA-256$")


def test_the_password_is_in_no_file_and_no_command_line(server: PostgresServer) -> None:
    """What initdb read is removed."""
    assert PASSWORD.encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
    assert [path for path in server.data.parent.iterdir() if "password" in path.name] == []
    assert server.data.stat().st_mode & 0o077 == 0


def test_it_listens_on_this_machine_only(server: PostgresServer) -> None:
    """127.0.0.1 is one address of many of the machine's own."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), timeout=30)


async def test_acknowledged_writes_survive_kill_9(server: PostgresServer) -> None:
    """The same folder, the same port, and everything that was committed."""
    async with connected(server) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (number int); INSERT INTO kept VALUES (7)")
        port, child = server.port, server.child
        assert child is not None
        child.signal(signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
        server.start()
    async with connected(server) as connection:
        assert await connection.fetchval("SELECT number FROM kept") == 7
    assert server.port == port


def test_a_lock_file_that_names_a_foreign_process_does_not_prevent_the_start(server: PostgresServer) -> None:
    """After a crash the pid in it may be anybody's, here our own."""
    child = server.child
    assert child is not None
    child.signal(signal.SIGKILL)
    child.wait(10)
    lock = server.data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n" + lock.read_text().split("\n", 1)[1])
    server.start()
    assert server.pid is not None


def test_a_taken_port_is_one_sentence(server: PostgresServer, tmp_path: Path) -> None:
    """Two servers on one port: the second says which setting to change, and leaves nothing running."""
    second = PostgresServer(tmp_path / "postgres", PASSWORD, port=server.port, port_setting="THIS_PORT")
    with pytest.raises(PortTaken, match=rf"Port {server.port} .* set THIS_PORT"):
        second.start()
    assert second.pid is None
    second.stop()


def test_a_folder_of_another_version_is_one_sentence(tmp_path: Path) -> None:
    """Postgres itself would say the same in six lines of log."""
    data = tmp_path / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(DataOfAnotherVersion, match=r"written by Postgres 9, .* set CELLWAY_POSTGRES_BIN"):
        PostgresServer(data, PASSWORD).start()


async def test_the_postgres_that_wrote_a_folder_is_preferred(server: PostgresServer) -> None:
    """Installing a newer Postgres on the machine must not lock anybody out of the data."""
    async with connected(server) as connection:
        wrote = connection.get_server_version()
    server.stop()
    with PostgresServer(server.data, PASSWORD) as again:
        async with connected(again) as connection:
            assert connection.get_server_version().major == wrote.major
    server.start()


def test_a_folder_with_something_else_in_it_is_not_touched(tmp_path: Path) -> None:
    """A mistyped path must not cost anybody's files."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "thesis.txt").write_text("years of work")
    with pytest.raises(ServerFailed, match="something else than a Postgres cluster"):
        PostgresServer(tmp_path / "postgres", PASSWORD).start()
    assert (tmp_path / "postgres" / "thesis.txt").read_text() == "years of work"


def test_what_an_interrupted_initdb_left_is_replaced(tmp_path: Path) -> None:
    """A folder that has its final name is complete; half ones have another."""
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new" / "half").touch()
    with PostgresServer(tmp_path / "postgres", PASSWORD):
        assert not (tmp_path / "postgres.new").exists()


KEEPER = """
import pathlib, signal, sys
from runtime.embedded.postgres import PostgresServer
server = PostgresServer(pathlib.Path(sys.argv[1]), sys.argv[2])
server.start()
print(server.pid, flush=True)
signal.pause()
"""


def keeper(data: Path, path: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(data), PASSWORD],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PATH": path},
    )


def test_a_folder_in_use_by_a_living_process_is_refused(tmp_path: Path) -> None:
    """And when that process is killed, its server ends, and the folder is free."""
    with keeper(tmp_path / "postgres", os.environ["PATH"]) as other:
        assert other.stdout is not None
        pid = int(other.stdout.readline())
        with pytest.raises(DataInUse, match=f"in use by process {other.pid}"):
            PostgresServer(tmp_path / "postgres", PASSWORD).start()
        other.kill()
        assert ended(pid)
    with PostgresServer(tmp_path / "postgres", PASSWORD) as server:
        assert server.pid is not None


def test_a_server_that_outlived_its_keeper_is_stopped_first(tmp_path: Path) -> None:
    """Where the kernel does not end it with its keeper: here, because setpriv is not to be found."""
    for tool in ("unshare", "test", "true", "pg_config", "perl"):
        if (place := Path("/usr/bin") / tool).exists():
            (tmp_path / "bin").mkdir(exist_ok=True)
            (tmp_path / "bin" / tool).symlink_to(place)
    with keeper(tmp_path / "postgres", str(tmp_path / "bin")) as other:
        assert other.stdout is not None
        pid = int(other.stdout.readline())
        other.kill()
    assert Path(f"/proc/{pid}").exists()
    with PostgresServer(tmp_path / "postgres", PASSWORD) as server:
        assert server.pid != pid
        assert ended(pid, seconds=0)


@as_root
def test_root_may_also_hand_the_folder_to_another_user() -> None:
    """For machines that forbid user namespaces; and back again, when they are allowed later."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for identity in (unprivileged.by_setpriv(), unprivileged.by_user_namespace()):
            with PostgresServer(folder / "postgres", PASSWORD, identity=identity):
                assert (folder / "postgres").stat().st_uid == identity.owner_uid


@as_root
def test_a_folder_that_the_other_user_cannot_reach_is_one_sentence() -> None:
    """As below /root; the sentence names the path and the way out."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o700)
        server = PostgresServer(Path(name) / "postgres", PASSWORD, identity=unprivileged.by_setpriv())
        with pytest.raises(CannotRunAsRoot, match=r"cannot reach .*: start this as an ordinary user"):
            server.start()
