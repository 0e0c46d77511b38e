"""An authority of one's own, and certificates that it signs, made by openssl."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.programs import require_program
from tests.router.upstreams import FakeCell


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs for 127.0.0.1 and acme.api.localhost."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._openssl = require_program("openssl", "certificates")
        self._folder, self._name = folder, name
        self._own = self._made(name, "-x509", "-addext", "basicConstraints=critical,CA:TRUE")

    @property
    def certificate(self) -> Path:
        return self._own.certificate

    def signs(self, name: str) -> Pair:
        """A certificate for `name`, also good for the address and the host of tests."""
        names = "subjectAltName=IP:127.0.0.1,DNS:acme.api.localhost"
        signer = ("-x509", "-CA", str(self._own.certificate), "-CAkey", str(self._own.key))
        return self._made(name, *signer, "-addext", names, "-addext", "basicConstraints=CA:FALSE")

    def _made(self, name: str, *arguments: str) -> Pair:
        pair = Pair(self._folder / f"{self._name}-{name}.pem", self._folder / f"{self._name}-{name}.key")
        usual = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
        files = ("-subj", f"/CN={name}", "-out", str(pair.certificate), "-keyout", str(pair.key))
        command = [self._openssl, "req", *usual, *arguments, *files]
        subprocess.run(command, check=True, capture_output=True)
        return pair

    def client_context(self) -> ssl.SSLContext:
        """For a client that believes this authority alone."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def server_context(self, pair: Pair, *, clients: "Authority | None" = None) -> ssl.SSLContext:
        """For a server; with `clients` it demands a certificate of theirs."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pair.certificate, pair.key)
        if clients is not None:
            context.load_verify_locations(clients.certificate)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


@contextlib.asynccontextmanager
async def serving_tls(cell: FakeCell, context: ssl.SSLContext) -> AsyncIterator[str]:
    """The cell over TLS; its address."""
    server = await asyncio.start_server(cell.serve, "127.0.0.1", 0, limit=2**20, ssl=context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer, task in list(cell.open.items()):
            writer.transport.abort()
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
