"""Certificates: the router's own towards clients, taken up anew when their files change, and those for cells."""

import asyncio
import ssl
from pathlib import Path

from router.settings import RouterSettings
from runtime import logs
from runtime.errors import StartFailed
from runtime.tls.calling import Calling
from runtime.tls.credentials import Look, look

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

    def _look(self) -> Look:
        return look(*self._files)

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


class Trust:
    """How a cell at an https:// address proves that it is the one that is meant.

    With CELL_TLS_FOLDER: by a certificate of the fleet's authority for the cell's own name, wherever it is; else
    by one for the host in its address.
    """

    def __init__(self, settings: RouterSettings) -> None:
        """StartFailed when the files cannot be used."""
        folder = settings.cell_tls_folder
        self.fleet = Calling(folder, f"{settings.env_prefix}CELL_TLS_FOLDER") if folder else None
        self.setting = "" if self.fleet is None or not settings.cell_tls_only else self.fleet.setting
        """What forbids that cells are spoken to without TLS; empty: nothing does."""
        own = (settings.cell_ca, settings.cell_certificate, settings.cell_key)
        self._by_host = _towards_cells(*own)

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._by_host if self.fleet is None else self.fleet.context

    def name_of(self, cell_id: str, host: str) -> str:
        """For whom the cell's certificate must be."""
        return host if self.fleet is None else cell_id


def _towards_cells(ca: str, certificate: str, key: str) -> ssl.SSLContext:
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
