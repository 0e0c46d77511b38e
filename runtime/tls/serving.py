"""The side that is called: it demands a certificate of the fleet's authority, and says why it refuses.

asyncio and uvloop close a connection whose handshake fails without sending what TLS has to say about it (the
alert, RFC 8446 section 6). With TLS 1.3 its client has sent the request by then: it could not tell a refusal from
a program that died over the request. So the alert is let through first, and the connection closed after it.
"""

import json
import ssl
import time
from typing import Any

from runtime import logs
from runtime.tls import saying
from runtime.tls.credentials import Credentials

log = logs.get("runtime.tls")

MOST_READS = 16
"""After a refusal what still comes is thrown away, so often: a connection that is closed while bytes lie unread
takes back what was sent last."""
AGAIN_SECONDS = 10.0
"""A refusal for the same reason is logged once in so long."""
_PROBLEM = {
    "type": "about:blank",
    "title": "Service Unavailable",
    "status": 503,
    "code": "UNAVAILABLE",
    "message": "this port speaks TLS, and was spoken to without: its address begins with https://",
    "retryable": True,
    "field": None,
    "metadata": {},
}
_BODY = json.dumps(_PROBLEM).encode()
_PLAIN = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(_BODY), _BODY)
)


class Serving(Credentials):
    """For the ports of one program, which is called `name`: that is what its certificate must be for."""

    def __init__(self, folder: str, setting: str, name: str) -> None:
        self.name = name
        self._ports: dict[str, Port] = {}
        self._now: dict[ssl.VerifyMode, ssl.SSLContext] = {}
        super().__init__(folder, setting)

    def port(self, port: str, *, strangers: bool = False) -> ssl.SSLContext:
        """For one listener. `strangers`: who shows no certificate comes in as well, for whoever answers to judge;
        one that is shown must be right all the same.
        """
        made = self._ports[port] = Port(ssl.PROTOCOL_TLS_SERVER)
        made.name = port
        mode = ssl.CERT_OPTIONAL if strangers else ssl.CERT_REQUIRED
        self._equip(made).verify_mode = mode
        made.num_tickets = 0
        made.sslobject_class = Handshake
        made.sni_callback = lambda handshake, _name, _context: self._as_now(handshake, mode)
        return made

    def _as_now(self, handshake: Any, mode: ssl.VerifyMode) -> None:
        """A handshake uses the files as they are now, authority and all; called for each, named or not."""
        handshake.context = self._now[mode]

    def _load(self) -> float:
        now = {mode: self._fresh(mode) for mode in (ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL)}
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.minimum_version = ssl.TLSVersion.TLSv1_3
        client.hostname_checks_common_name = False
        client.load_verify_locations(self.authority)
        expires_at = self._tried(now[ssl.CERT_REQUIRED], client, self.name, by_client=True)
        self._now = now
        return expires_at

    def _fresh(self, mode: ssl.VerifyMode) -> ssl.SSLContext:
        context = self._equip(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        context.verify_mode = mode
        # Whoever comes again shows a certificate again: one of an authority that is gone gets in by no ticket.
        context.num_tickets = 0
        return context


class Port(ssl.SSLContext):
    """Of one listener, for as long as it listens."""

    name = ""

    def __init__(self, *_arguments: object) -> None:
        self._told: dict[str, tuple[float, int]] = {}
        """reason → when it was last logged, and how many were refused for it since."""

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *more: Any, **named: Any
    ) -> ssl.SSLObject:
        made = super().wrap_bio(incoming, outgoing, *more, **named)
        if isinstance(made, Handshake):
            made.port, made.incoming, made.outgoing = self, incoming, outgoing
        return made

    def refused(self, error: ssl.SSLError) -> None:
        """Log why, but not each time: anybody can knock as often as they like."""
        reason, now = saying.of_client(error), time.monotonic()
        told_at, untold = self._told.get(reason, (-AGAIN_SECONDS, 0))
        if now - told_at < AGAIN_SECONDS:
            self._told[reason] = (told_at, untold + 1)
            return
        self._told[reason] = (now, 0)
        log.warning("client_refused", port=self.name, reason=reason, others_since=untold)


class Handshake(ssl.SSLObject):
    """The server's side of one connection."""

    port: Port
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    _failure: ssl.SSLError | None = None
    _reads = 0

    def do_handshake(self) -> None:
        if self._failure is not None:
            self._thrown_away(self._failure)
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.port.refused(error)
            if error.reason == "HTTP_REQUEST":
                self.outgoing.write(_PLAIN)
            if not self.outgoing.pending:
                raise
            self._failure = error
            self._thrown_away(error)

    def _thrown_away(self, failure: ssl.SSLError) -> None:
        """Wait for the client to close, which it does once it has read why: whatever it sends is not read."""
        self.incoming.read()
        self._reads += 1
        if self._reads > MOST_READS:
            raise failure
        raise ssl.SSLWantReadError(ssl.SSLErrorNumber.SSL_ERROR_WANT_READ, "until the client closes") from failure
