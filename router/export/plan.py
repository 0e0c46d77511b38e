"""What is exported. Pure values, and the words by which HAProxy knows them."""

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from directory.values import TenantEntry
from router.export.errors import ExportFailed
from router.settings import RouterSettings

BACKEND = "cells"
GONE = "-"
"""A home that says: this tenant lives nowhere any more, whatever the base says. No cell can be called so."""
MOST_SOCKET_PATH_BYTES = 90
"""A socket's path may have 107 (`sockaddr_un`); HAProxy appends up to 12 characters while it binds."""
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._@+-]+\Z")


@dataclass(frozen=True, slots=True)
class Server:
    """One cell at one address. A cell that moves is another server: no connection to the old address is used."""

    cell_id: str
    ip: str
    port: int
    tls_name: str | None = None
    """The name that its certificate must have; None: plain HTTP."""

    @property
    def name(self) -> str:
        """The same for the same address, in every process and after every restart."""
        place = f"{self.ip} {self.port} {self.tls_name}".encode()
        return f"{self.cell_id}.{hashlib.blake2s(place, digest_size=5).hexdigest()}"

    def words(self, settings: RouterSettings) -> str:
        """Address and options, for a `server` line and for `add server`.

        Weight 0: only a `use-server` rule chooses it. Connections are closed before the cell would close them.
        """
        host = f"[{self.ip}]" if ipaddress.ip_address(self.ip).version == 6 else self.ip
        purge_ms = max(1000, round(settings.cell_idle_seconds * 1000))
        plain = f"{host}:{self.port} weight 0 maxconn {settings.cell_connections} pool-purge-delay {purge_ms}ms"
        if self.tls_name is None:
            return plain
        authority = settings.cell_ca or "@system-ca"
        least = " ssl-min-ver TLSv1.3" if settings.cell_tls_folder else ""
        shown = f" crt {one_file(settings)}" if settings.cell_certificate else ""
        name = f"sni str({self.tls_name}) verifyhost {self.tls_name}"
        return f"{plain} ssl{least} verify required ca-file {authority}{shown} {name}"


def one_file(settings: RouterSettings) -> str:
    """The file of what cells are shown, and of its key: HAProxy reads one. ExportFailed when there are two."""
    if settings.cell_key != settings.cell_certificate:
        raise ExportFailed("HAProxy wants CELL_CERTIFICATE and CELL_KEY in one file: name the same file in both")
    return settings.cell_certificate


def home(entry: TenantEntry | None) -> str:
    """A tenant's value in a map: its cell and epoch together, so that no request sees one without the other.

    One word, because that is all that `set map` takes.
    """
    return GONE if entry is None or entry.cell_id is None else f"{entry.cell_id}:{entry.epoch}"


@dataclass(frozen=True, slots=True)
class Folder:
    """Where everything lies. `recent` goes before `base`; on disk it is empty, as `base` is complete there."""

    path: Path

    def __post_init__(self) -> None:
        if not _PLAIN_PATH.match(str(self.path)):
            raise ExportFailed(
                f"{self.path}: HAProxy's rules name this folder, so only A-Z a-z 0-9 / . _ @ + - in it"
            )
        if len(str(self.socket).encode()) > MOST_SOCKET_PATH_BYTES:
            most = MOST_SOCKET_PATH_BYTES - len("/haproxy.sock")
            raise ExportFailed(f"{self.path}: a socket is made in it, so its path has at most {most} bytes")

    @property
    def configuration(self) -> Path:
        return self.path / "haproxy.cfg"

    @property
    def base(self) -> Path:
        return self.path / "tenants.map"

    @property
    def recent(self) -> Path:
        return self.path / "recent.map"

    @property
    def cells(self) -> Path:
        return self.path / "cells.map"

    @property
    def script(self) -> Path:
        return self.path / "again.lua"

    @property
    def socket(self) -> Path:
        return self.path / "haproxy.sock"

    @property
    def certificate(self) -> Path:
        """What cells are shown, with its key, when CELL_TLS_FOLDER has them in two files."""
        return self.path / "cells.pem"

    @property
    def again(self) -> Path:
        """The socket on which HAProxy is its own client, for second attempts."""
        return self.path / "again.sock"


@dataclass(frozen=True, slots=True)
class Plan:
    """An export: of which settings, to where, listening where, and called what in `Via`."""

    settings: RouterSettings
    folder: Folder
    listen: str
    via: str
    lua: bool = True
    """Without, a 421 is not tried again but answered with 503."""
    certificate: str | None = None


def in_one_file(settings: RouterSettings, folder: Folder) -> RouterSettings:
    """The settings in which what CELL_TLS_FOLDER names is where HAProxy can read it."""
    if not settings.cell_tls_folder:
        return settings
    both = str(folder.certificate)
    authority = str(Path(settings.cell_tls_folder).absolute() / "ca.pem")
    return settings.model_copy(update={"cell_ca": authority, "cell_certificate": both, "cell_key": both})


def listening(text: str) -> str:
    """ADDR:PORT as HAProxy's `bind` takes it; ExportFailed."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    known = bare in ("", "*") or re.fullmatch(r"[A-Za-z0-9.-]+", bare) or _is_ip(bare)
    if not colon or not known or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ExportFailed(f"{text!r} is not ADDR:PORT, such as 127.0.0.1:8080 or [::]:8080")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
