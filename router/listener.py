"""The public port. Connections become `Client`s, with TLS where there is a certificate.

With the PROXY protocol, the header that a load balancer puts before everything else (before TLS too) is read off
the bare socket, not a byte more, and only then the connection is handed to the loop.

Whoever has yet to send that header, or to end its TLS handshake, is no `Client` but takes a file all the same. So
with either of them connections are accepted here, and counted from then on.
"""

import asyncio
import contextlib
import errno
import functools
import socket
import ssl
from typing import cast

from router import metrics
from router.client import Client
from router.lane import Lane
from router.rules.headers import Client as Sender
from router.rules.proxy_protocol import Incomplete, Malformed, Proxied, parse
from runtime import logs
from runtime.site import bound

log = logs.get("router.listener")
BACKLOG = 4096
ACCEPTED_AT_ONCE = 64
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
PAUSE_SECONDS = 0.5
"""Between two attempts to accept when there is no file or memory for it: the kernel would call again at once."""


class Listener:
    """host:port; port 0 lets the system choose."""

    def __init__(
        self,
        lane: Lane,
        host: str,
        port: int,
        *,
        reuse_port: bool = False,
        tls: ssl.SSLContext | None = None,
        proxied: bool = False,
    ) -> None:
        self.host, self.port = host, port
        self._lane, self._tls, self._proxied, self._reuse_port = lane, tls, proxied, reuse_port
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self._arriving: set[socket.socket] = set()
        """Accepted, and not a `Client` yet."""

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    async def start(self) -> None:
        """Take connections. StartFailed when the port is not to be had."""
        listener = bound("router", self.host, self.port, reuse_port=self._reuse_port)
        self.port = listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        if self._proxied or self._tls:
            listener.listen(BACKLOG)
            self._socket = listener
            loop.add_reader(listener.fileno(), self._accept)
        else:
            self._server = await loop.create_server(self._client, sock=listener, backlog=BACKLOG)

    @property
    def _handshake_seconds(self) -> float | None:
        # A client that never says a word of TLS is waited for no longer than one that never sends a head.
        return self._lane.head_seconds if self._tls else None

    async def drain(self) -> None:
        """Take no new connections, and wait until the ones that are open have ended."""
        # Who is in the kernel's queue already would be reset by closing it: take them first.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self._close()
        await self._lane.drain(self._arriving)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._socket is not None:
            self._accept(BACKLOG)
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    async def stop(self) -> None:
        """Cut off what is left."""
        self._close()
        self._lane.cut_off()

    # --- TLS and the PROXY protocol ---

    @property
    def _full(self) -> bool:
        most = self._lane.most_connections
        return most is not None and len(self._lane.clients) + len(self._arriving) >= most

    def _accept(self, most: int = ACCEPTED_AT_ONCE) -> None:
        for _ in range(most):
            try:
                accepted, peer = self._socket.accept() if self._socket is not None else (None, None)
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("accept_failed", error=str(error))
                if error.errno in EXHAUSTED:
                    self._pause()
                return
            if accepted is None or peer is None:
                return
            if self._full:
                metrics.CLIENTS_REFUSED.inc()
                accepted.close()
                continue
            accepted.setblocking(False)
            self._arriving.add(accepted)
            self._lane.tasks.spawn("introduction", self._arrives(accepted, str(peer[0])))

    def _pause(self) -> None:
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            loop.call_later(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._accept)

    async def _arrives(self, accepted: socket.socket, peer: str) -> None:
        try:
            sender = await self._introduced(accepted, peer) if self._proxied else self._lane.sender_at(peer)
            if sender is not None:
                await self._hand_over(accepted, sender)
        finally:
            self._arriving.discard(accepted)

    async def _introduced(self, accepted: socket.socket, peer: str) -> Sender | None:
        """Who came, as the header says; None when there was none to be believed, and the connection is closed."""
        try:
            async with asyncio.timeout(self._lane.head_seconds):
                said = await _header(accepted)
        except (Malformed, TimeoutError, OSError) as error:
            metrics.REFUSALS.labels("0", "proxy_protocol").inc()
            log.debug("introduction_refused", peer=peer, error=str(error))
            accepted.close()
            return None
        except asyncio.CancelledError:
            accepted.close()
            raise
        return self._sender(said, peer)

    async def _hand_over(self, accepted: socket.socket, sender: Sender) -> None:
        """Make it a `Client`, which without TLS it is at once."""
        if self._tls is None:
            self._arriving.discard(accepted)
        with contextlib.suppress(OSError, ssl.SSLError):
            await asyncio.get_running_loop().connect_accepted_socket(
                functools.partial(self._client, sender),
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake_seconds,
            )

    def _client(self, sender: Sender | None = None) -> asyncio.Protocol:
        return cast(asyncio.Protocol, Client(self._lane, sender))  # it is one by shape

    def _sender(self, said: Proxied, peer: str) -> Sender:
        if said.address is None:
            return self._lane.sender_at(peer)  # the balancer itself, that looks whether we live
        scheme = b"https" if said.tls and not self._tls else None
        return self._lane.sender_at(said.address.decode(), scheme=scheme)


async def _header(accepted: socket.socket) -> Proxied:
    """Read exactly the header. Malformed, OSError."""
    loop = asyncio.get_running_loop()
    data = b""
    while isinstance(said := parse(data), Incomplete):
        more = await loop.sock_recv(accepted, said.needed_bytes)
        if not more:
            raise Malformed("the connection ended within it")
        data += more
    return said
