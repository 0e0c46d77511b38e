"""Certificates: the router's own towards clients, taken up anew when their files change, and the one for cells."""

import asyncio
import ssl
from pathlib import Path

from runtime import logs
from runtime.errors import StartFailed

log = logs.get("router.tls")
LOOK_SECONDS = 1.0


class Certificate:
    """The chain and key that clients are shown. Connections that are open keep the one that they began with."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """StartFailed when they cannot be used."""
        self._files = (certificate, key)
        self.context = _server_context()
        self._seen = self._look()
        try:
            self.context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise StartFailed(f"the certificate {certificate} cannot be used: {error}") from error

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when somebody writes or replaces one of the files."""
        found = [file.stat() if file.exists() else None for file in self._files]
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) if each else (0, 0, 0) for each in found)

    async def step(self) -> None:
        """Look whether the files changed; called again and again."""
        await asyncio.sleep(LOOK_SECONDS)
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            # Tried elsewhere first: half of a new pair must not replace a good one.
            _server_context().load_cert_chain(*self._files)
            self.context.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            log.error("certificate_refused", file=str(self._files[0]), error=str(error))
            return
        log.info("certificate_renewed", file=str(self._files[0]))


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def towards_cells(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """What cells' certificates are checked by, and the one that is shown to them (RFC 8446 section 4.4.2).

    StartFailed when the files cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca or None)
        if certificate:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise StartFailed(f"the certificates for cells cannot be used: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
