"""An aiohttp application, or a runner with a server of its own kind, bound to an address as a part."""

import errno
import socket
import ssl
from typing import Any

from aiohttp import web

from runtime.api.connection import LARGEST_FIELD_BYTES, LARGEST_TARGET_BYTES, MOST_HEADERS, Runner
from runtime.errors import StartFailed
from runtime.lifecycle import Part


def bound(name: str, host: str, port: int, *, setting: str = "PORT", reuse_port: bool = False) -> socket.socket:
    """A socket that can listen there; port 0 lets the system choose. StartFailed names `setting`."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartFailed(_refused(name, host, port, setting, error)) from error
    listener.setblocking(False)
    return listener


def _refused(name: str, host: str, port: int, setting: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken: stop what uses it, or set {setting}"
    return f"{name} cannot listen on {host}:{port}: {error.strerror or error}"


class Site:
    """Serves `application` (or what a runner was made for) on host:port.

    Port 0 lets the system choose; `port` then tells which.
    `handler_cancellation` is on: without it a client that closes a stream leaves a live task behind.
    Bodies are not decompressed: whoever reads them says that none may be compressed.
    With `tls` it speaks TLS and nothing else.
    """

    def __init__(
        self,
        name: str,
        application: web.Application | web.BaseRunner,
        host: str,
        port: int,
        *,
        setting: str = "PORT",
        reuse_port: bool = False,
        drain_seconds: float = 10.0,
        tls: ssl.SSLContext | None = None,
        **server_options: Any,
    ) -> None:
        self.name, self.host, self.port = name, host, port
        self._setting = setting
        self._reuse_port = reuse_port
        self._drain_seconds = drain_seconds
        self._tls = tls
        self._runner: web.BaseRunner = (
            application
            if isinstance(application, web.BaseRunner)
            else Runner(
                application,
                handle_signals=False,
                access_log=None,
                handler_cancellation=True,
                shutdown_timeout=drain_seconds,
                auto_decompress=False,
                max_line_size=LARGEST_TARGET_BYTES,
                max_field_size=LARGEST_FIELD_BYTES,
                max_headers=MOST_HEADERS,
                **server_options,
            )
        )
        self._listener: web.BaseSite | None = None

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://{self.host}:{self.port}"

    async def start(self) -> None:
        await self._runner.setup()
        self._listener = web.SockSite(self._runner, self._bound(), backlog=1024, ssl_context=self._tls)
        await self._listener.start()

    def _bound(self) -> socket.socket:
        listener = bound(self.name, self.host, self.port, setting=self._setting, reuse_port=self._reuse_port)
        self.port = listener.getsockname()[1]
        return listener

    async def drain(self) -> None:
        """Take no new connections; the ones that are open finish in `stop`."""
        if self._listener is not None:
            await self._listener.stop()

    async def stop(self) -> None:
        await self._runner.cleanup()

    def part(self) -> Part:
        """This site as a part: it drains by closing its listener, and stops once requests are done."""
        return Part(self.name, self.start, self.drain, self.stop, stop_deadline_seconds=self._drain_seconds + 5.0)
