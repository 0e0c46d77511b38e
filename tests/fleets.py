"""Fleets with certificates, as `cellway certificates` makes them, and what goes wrong with them."""

import shutil
import ssl
from pathlib import Path

from console.certificates import Maker
from runtime.tls.calling import Calling
from runtime.tls.serving import Serving
from tests.programs import require_program

SETTING = "CELLWAY_TESTS_TLS_FOLDER"


class Fleet:
    """One authority, and whom it signs for."""

    def __init__(self, folder: Path) -> None:
        require_program("openssl", "certificates")
        self.folder = folder
        self.maker = Maker(folder)
        self.maker.authority()

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    def cell(self, name: str = "cell-1", *hosts: str) -> Path:
        """The folder of a cell; made once with hosts, once without."""
        maker = self._aside("hosts") if hosts else self.maker
        return maker.cell(name, hosts).folder

    def program(self, name: str = "router") -> Path:
        """The folder of somebody who calls cells; made once."""
        return self.maker.program(name).folder

    def expired(self, name: str, into: Path) -> Path:
        """A folder of its own whose certificate is over already: a cell's or, by its name, a program's."""
        other = self._aside("expired", into)
        made = other.cell(name, days=0) if name.startswith("cell") else other.program(name, days=0)
        return made.folder

    def _aside(self, name: str, into: Path | None = None) -> Maker:
        """The same authority, with a folder of its own for what it signs."""
        other = Maker((into or self.folder) / name)
        other.folder.mkdir(exist_ok=True)
        for each in ("ca.pem", "ca.key"):
            shutil.copy(self.folder / each, other.folder / each)
        return other

    def serving(self, name: str = "cell-1") -> Serving:
        """What a cell's ports speak."""
        return Serving(str(self.cell(name)), SETTING, name)

    def calling(self, name: str = "router") -> Calling:
        """What somebody calls by."""
        return Calling(str(self.program(name)), SETTING)

    def stranger(self) -> ssl.SSLContext:
        """Knows the fleet's authority, and has nothing to show."""
        return ssl.create_default_context(cafile=str(self.authority))


def copied(folder: Path, to: Path) -> Path:
    """Files that a test may replace."""
    shutil.copytree(folder, to)
    return to


def put(source: Path, target: Path) -> None:
    """As a renewal does: each file is replaced whole, one after the other."""
    for name in ("ca.pem", "cert.pem", "key.pem"):
        beside = target / f"{name}.new"
        shutil.copy(source / name, beside)
        beside.replace(target / name)
