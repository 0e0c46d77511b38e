"""A Redis (or Valkey) server of our own, on a folder. See `RedisServer`."""

import os
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from runtime.embedded.binaries import Redis, find_redis
from runtime.embedded.child import Child
from runtime.embedded.server import HOST, Server

SETTINGS: Mapping[str, str] = {
    "bind": HOST,
    "daemonize": "no",
    "appendonly": "yes",
    "save": "",  # the append-only file is enough; no second copy
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
    "set-proc-title": "no",  # the folder stays in the command line, by which a later run knows it
}


class RedisServer(Server):
    """Redis on `data`, for 127.0.0.1 only, with `password`, which reaches it through a pipe."""

    title = "Redis"
    needed_bytes = 50_000_000
    stop_steps = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))

    def __init__(
        self,
        data: Path,
        password: str,
        log_path: Path | None = None,
        *,
        port: int = 0,
        port_setting: str = "its port",
        binaries: Redis | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(data, password, log_path, port, port_setting)
        self._binaries = binaries
        self._settings = {**SETTINGS, **(settings or {})}

    @property
    def url(self) -> str:
        """The address with the password."""
        return f"redis://:{quote(self.password, safe='')}@{HOST}:{self.port}/0"

    def _prepare(self, end: float) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)

    def _launch(self) -> Child:
        self._binaries = self._binaries or find_redis()
        lines = [f"{name} {_quoted(value)}" for name, value in self._settings.items()]
        lines.append(f"requirepass {_quoted(self.password)}")
        return Child(
            (self._binaries.program, "-", "--port", str(self.port), "--dir", self.data),
            self._log,
            env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
            stdin="\n".join([*lines, ""]).encode(),
            ready_line="Ready to accept connections",
            dies_by=signal.SIGTERM,
        )

    def _confirm(self, end: float) -> None:
        """Another server may have taken the port between our look and its start: ours knows the password."""
        seconds = max(0.1, end - time.monotonic())
        try:
            with socket.create_connection((HOST, self.port), timeout=seconds) as connection:
                connection.sendall(_command("AUTH", self.password) + _command("PING"))
                answer = _read_lines(connection, 2)
        except OSError as error:
            answer = str(error).encode()
        if answer != b"+OK\r\n+PONG\r\n":
            self.stop()
            raise self._failed(f"it answered {answer.decode(errors='replace').strip()} to a ping")


def _quoted(value: str) -> str:
    plain = range(0x20, 0x7F)
    return (
        '"'
        + "".join(chr(b) if b in plain and chr(b) not in '"\\' else f"\\x{b:02x}" for b in value.encode())
        + '"'
    )


def _command(*words: str) -> bytes:
    parts = [b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words]
    return b"*%d\r\n%s" % (len(parts), b"".join(parts))


def _read_lines(connection: socket.socket, count: int) -> bytes:
    answer = b""
    while answer.count(b"\r\n") < count and (piece := connection.recv(1024)):
        answer += piece
    return answer
