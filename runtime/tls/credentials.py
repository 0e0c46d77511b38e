"""The three files by which a program proves who it is, and knows who others are.

    ca.pem     whose certificates are believed: the fleet's authority, or two of them while it is replaced
    cert.pem   the program's own certificate, followed by those between it and the authority
    key.pem    its private key, without a passphrase

They are tried before they are used, by a handshake in memory with what the other side would have: so a mistake is
found here, and not by everybody who calls.
"""

import asyncio
import contextlib
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import Gauge

from runtime import logs
from runtime.errors import StartFailed
from runtime.health import Unhealthy
from runtime.tls import saying

log = logs.get("runtime.tls")

EXPIRES = Gauge(
    "cellway_certificate_expires_timestamp",
    "When the certificate in use expires, in seconds since 1970",
    ["folder"],
)
LOOK_SECONDS = 1.0
FILES = ("ca.pem", "cert.pem", "key.pem")
ROUNDS = 4
"""Of a handshake in memory: one and a half are needed, one more when the first guess of a group is declined."""
Look = tuple[tuple[int, int, int], ...]


def look(*files: Path) -> Look:
    """What changes when somebody writes or replaces one of the files."""
    found = [file.stat() if file.exists() else None for file in files]
    return tuple((each.st_ino, each.st_mtime_ns, each.st_size) if each else (0, 0, 0) for each in found)


class Credentials(ABC):
    """A folder's, in use. What is in use is replaced whole, and only by what was tried and is sound."""

    def __init__(self, folder: str, setting: str) -> None:
        """`setting` is what names the folder. StartFailed says which file is wrong, and what to do."""
        self.folder, self.setting = Path(folder), setting
        self.authority, self.certificate, self.key = (self.folder / name for name in FILES)
        self._seen = self._look()
        self._refused = ""
        """What is wrong with the files that lie there now, when they are not those in use."""
        self.expires_at = self._taken_up()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.folder} until {self.until}>"

    @property
    def until(self) -> str:
        """The day on which the certificate in use expires."""
        return datetime.fromtimestamp(self.expires_at, UTC).date().isoformat()

    async def step(self) -> None:
        """Look whether the files changed, and take them up; called again and again."""
        await asyncio.sleep(LOOK_SECONDS)
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.expires_at = await asyncio.to_thread(self._taken_up)  # some milliseconds, in nobody's way
        except StartFailed as error:
            # Half of a new set must not replace a sound one; the other half is seen when it comes.
            self._refused = str(error)
            log.error("certificate_refused", reason=self._refused)
            return
        self._refused = ""
        log.info("certificate_renewed", folder=str(self.folder), until=self.until)

    async def check(self) -> str:
        """For `/health/ready`: until when it is good. Unhealthy when it is not, or the next one cannot be used."""
        if self._refused:
            raise Unhealthy(f"the one of before is still used: {self._refused}")
        if time.time() >= self.expires_at:
            raise Unhealthy(f"{self.certificate} expired on {self.until}: replace it and key.pem")
        return f"until {self.until}"

    def _look(self) -> Look:
        return look(self.authority, self.certificate, self.key)

    def _taken_up(self) -> float:
        expires_at = self._load()
        EXPIRES.labels(str(self.folder)).set(expires_at)
        return expires_at

    @abstractmethod
    def _load(self) -> float:
        """Use the files as they are now; when the certificate expires. StartFailed leaves everything as it was."""

    def _equip(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """The context with authority, certificate and key, for TLS 1.3 alone. StartFailed."""
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["http/1.1"])
        context.hostname_checks_common_name = False
        self._read(self.authority, lambda: context.load_verify_locations(self.authority))
        self._read(self.certificate, lambda: context.load_cert_chain(self.certificate, self.key, self._locked))
        return context

    def _read(self, file: Path, read: Callable[[], None]) -> None:
        for each in (file, *((self.key,) if file == self.certificate else ())):
            if not each.is_file():
                makes = "cellway certificates makes them"
                raise StartFailed(
                    f"{each} is missing: {self.setting} names a folder with {', '.join(FILES)}; {makes}"
                )
            try:
                each.open("rb").close()
            except OSError as error:
                raise StartFailed(f"{each} cannot be read: {error.strerror}; {self.setting} names it") from error
        try:
            read()
        except ssl.SSLError as error:
            raise StartFailed(self._unreadable(file, error)) from error
        except OSError as error:
            raise StartFailed(f"{file} cannot be read: {error.strerror}; {self.setting} names it") from error

    def _unreadable(self, file: Path, error: ssl.SSLError) -> str:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            return (
                f"{self.key} is not the key of {self.certificate}: replace both by those that were made together"
            )
        both = f"{file} or {self.key}" if file == self.certificate else str(file)
        return f"{both} cannot be used: it is no PEM as it must be ({error.reason or 'nothing was found in it'})"

    def _locked(self) -> str:
        raise StartFailed(
            f"{self.key} has a passphrase, which nobody is there to type: take it away, and chmod 600"
        )

    def _tried(
        self, server: ssl.SSLContext, client: ssl.SSLContext, name: str | None, *, by_client: bool
    ) -> float:
        """Have one half check the other, in memory; when what was checked expires. StartFailed."""
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        calling = client.wrap_bio(to_client, to_server, server_hostname=name)
        serving = server.wrap_bio(to_server, to_client, server_side=True)
        checking = calling if by_client else serving
        try:
            for _ in range(ROUNDS):
                if (found := _peer(checking)) is not None:
                    return float(ssl.cert_time_to_seconds(found["notAfter"]))
                for half in (calling, serving):
                    if _peer(checking) is None:
                        with contextlib.suppress(ssl.SSLWantReadError):
                            half.do_handshake()
        except ssl.SSLCertVerificationError as error:
            raise StartFailed(f"{self.certificate} would be refused: {saying.of_own(error)}") from error
        except ssl.SSLError as error:
            raise StartFailed(f"{self.certificate} cannot be used: {saying.of_client(error)}") from error
        raise StartFailed(f"{self.certificate} cannot be used: a handshake with it does not come to its end")


def _peer(half: ssl.SSLObject) -> dict[str, Any] | None:
    """What one half found out of the other; None before it is through with it."""
    try:
        return half.getpeercert() or None
    except ValueError:
        return None
