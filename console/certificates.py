"""An authority for a fleet, and certificates that it signs: for trying TLS, and for fleets without an authority.

    FOLDER/ca.pem  ca.key     the authority; its key is needed only to sign
    FOLDER/cell-1/            ca.pem, cert.pem, key.pem: what a cell's TLS_FOLDER names
    FOLDER/router/ …          the same for those that call cells

A cell's certificate is good for being called under the cell's name, and those of programs for calling: so no cell
can call another, or be taken for one. Made by the program `openssl`, which machines that speak TLS have or can
get, rather than by a Python library that each installation would carry along for this alone.
"""

import ipaddress
import os
import secrets
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runtime.errors import StartFailed

AUTHORITY_DAYS = 3650
DAYS = 397
SOON_DAYS = 30
OPENSSL_SECONDS = 30.0
PROGRAMS = ("router", "placement", "prometheus")
"""Those that call cells."""

_CONFIGURATION = """
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[called]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
[calling]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class CertificatesFailed(StartFailed):
    """openssl is missing, or refused."""


@dataclass(frozen=True, slots=True)
class Made:
    """One set of files, and until when it is good. `is_new`: else it was there and is kept."""

    name: str
    folder: Path
    until: datetime
    is_new: bool


class Maker:
    """Makes what is missing in a folder; what is there is kept unless it is asked for anew."""

    def __init__(self, folder: Path) -> None:
        """CertificatesFailed when there is no openssl."""
        self.folder = folder.absolute()
        found = shutil.which("openssl")
        if found is None:
            raise CertificatesFailed(
                "certificates are made by openssl, which is not installed: apt install openssl"
            )
        self._openssl = found
        self._authority, self._authority_key = self.folder / "ca.pem", self.folder / "ca.key"

    def authority(self) -> Made:
        """The one who signs. It is never made anew: nothing that it signed would be believed any more."""
        is_new = not self._authority.exists()
        if is_new:
            if self._authority_key.exists():
                raise CertificatesFailed(
                    f"{self._authority_key} is there without ca.pem: which authority is it of?"
                )
            with self._workshop(f"Cellway fleet {secrets.token_hex(4)}") as shop:
                self._key(shop.key)
                made = ("-x509", "-new", "-key", str(shop.key), "-extensions", "authority", "-sha256")
                self._run("req", *made, "-days", str(AUTHORITY_DAYS), *shop.told, "-out", str(shop.certificate))
                _put(shop.key, self._authority_key, 0o600)
                _put(shop.certificate, self._authority, 0o644)
        elif not self._authority_key.exists():
            raise CertificatesFailed(
                f"{self._authority} is there without ca.key: sign where the key is, or choose another folder"
            )
        return Made("the authority", self.folder, self._until(self._authority), is_new)

    def cell(self, name: str, hosts: Sequence[str] = (), *, days: int = DAYS, renew: bool = False) -> Made:
        """For a cell, also under the names and addresses of `hosts`, for clients that go by those."""
        return self._made(name, "called", (name, *hosts), days, renew)

    def program(self, name: str, *, days: int = DAYS, renew: bool = False) -> Made:
        """For whoever calls cells."""
        return self._made(name, "calling", (name,), days, renew)

    def ends_soon(self, name: str) -> bool:
        """Whether it is not there, or expires within a month."""
        certificate = self.folder / name / "cert.pem"
        left = self._until(certificate) - datetime.now(UTC) if certificate.exists() else None
        return left is None or left.days < SOON_DAYS

    def _made(self, name: str, use: str, names: Sequence[str], days: int, renew: bool) -> Made:
        folder = self.folder / name
        certificate, key = folder / "cert.pem", folder / "key.pem"
        is_new = renew or not (certificate.exists() and key.exists())
        if is_new:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._workshop(name, names) as shop:
                self._key(shop.key)
                request = shop.folder / "request.pem"
                self._run("req", "-new", "-key", str(shop.key), *shop.told, "-out", str(request))
                signed = ("-CA", str(self._authority), "-CAkey", str(self._authority_key))
                limits = ("-set_serial", f"0x{secrets.token_hex(16)}", "-days", str(days), "-sha256")
                extensions = ("-extfile", str(shop.configuration), "-extensions", use)
                files = ("-in", str(request), "-out", str(shop.certificate))
                self._run("x509", "-req", *files, *signed, *limits, *extensions)
                _put(shop.key, key, 0o600)
                _put(shop.certificate, certificate, 0o644)
        if is_new or not (folder / "ca.pem").exists():
            # What is kept may hold two authorities, while one takes the other's place.
            _put(self._authority, folder / "ca.pem", 0o644)
        return Made(name, folder, self._until(certificate), is_new)

    def _workshop(self, name: str, names: Sequence[str] = ()) -> "_Workshop":
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _Workshop(self.folder, name, names)

    def _key(self, path: Path) -> None:
        self._run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(path))

    def _until(self, certificate: Path) -> datetime:
        said = self._run("x509", "-in", str(certificate), "-noout", "-enddate").strip()
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(said.partition("=")[2]), UTC)

    def _run(self, *arguments: str) -> str:
        try:
            done = subprocess.run(  # noqa: S603 a fixed program, no shell
                [self._openssl, *arguments], capture_output=True, text=True, timeout=OPENSSL_SECONDS, umask=0o077
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CertificatesFailed(f"openssl {arguments[0]} does not run: {error}") from error
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise CertificatesFailed(f"openssl {arguments[0]} refuses: {last}")
        return done.stdout


class _Workshop:
    """A folder of its own beside the result, for the owner's eyes; gone at the end."""

    def __init__(self, beside: Path, name: str, names: Sequence[str]) -> None:
        self._held = tempfile.TemporaryDirectory(dir=beside, prefix=".making-")
        self.folder = Path(self._held.name)
        self.key, self.certificate = self.folder / "key.pem", self.folder / "cert.pem"
        self.configuration = self.folder / "openssl.cnf"
        told = ", ".join(f"{'IP' if _is_address(each) else 'DNS'}:{each}" for each in names) or "DNS:none.invalid"
        self.configuration.write_text(_CONFIGURATION.format(name=name, names=told), encoding="ascii")
        self.told = ("-config", str(self.configuration))

    def __enter__(self) -> "_Workshop":
        return self

    def __exit__(self, *_error: object) -> None:
        self._held.cleanup()


def _put(source: Path, target: Path, mode: int) -> None:
    """Replace a file whole."""
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(source.read_bytes())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(target)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
