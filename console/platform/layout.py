"""The folder of a platform: what is remembered, secrets, the lock.

    platform.json   format, cells, ports, addresses; no secrets
    secrets.json    passwords, keys and the operator's token; for the owner's eyes (0600)
    lock            held by the process that runs the platform
    logs/           a bounded log a part
    run/            which process a part is, for a later run that finds it
    control/        the directory's Postgres and Redis
    cells/cell-1/   a cell's Postgres and Redis
    router/         the router's snapshot
    mover/          the addresses of the cells' databases, for the mover's eyes (0600)
    certificates/   with `--tls`: an authority, and what cells, router and placement know each other by

Files are replaced whole, so that a crash leaves the old or the new, never half of one.
"""

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from console.platform.errors import AlreadyRunning, FolderOfAnotherVersion, FolderUnusable
from runtime.embedded import disk

FORMAT = 1
OPERATOR_TOKEN = "operator_token"  # noqa: S105 the name of a secret

ModelT = TypeVar("ModelT", bound=BaseModel)


class Remembered(BaseModel):
    """The content of `platform.json`. `ports` and `urls` are by part, for whoever wants to call one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    cells: tuple[str, ...] = ()
    ports: Mapping[str, int] = {}
    urls: Mapping[str, str] = {}


class Secrets(BaseModel):
    """The content of `secrets.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    format: int = FORMAT
    values: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"<Secrets {len(self.values)}>"


class Layout:
    """Paths below `root`, and what is written there."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.logs = self.root / "logs"
        self.run = self.root / "run"
        self.control = self.root / "control"
        self.snapshot = self.root / "router" / "snapshot"
        self.mover = self.root / "mover"
        self.certificates = self.root / "certificates"
        self.authority = self.certificates / "ca.pem"
        self.template = self.root / "template" / "postgres"
        self._locked = False
        self._platform_file = self.root / "platform.json"
        self._secrets_file = self.root / "secrets.json"

    def cell(self, cell_id: str) -> Path:
        """The folder of a cell's servers."""
        return self.root / "cells" / cell_id

    def log(self, part: str) -> Path:
        """The log of a part: `cell-1 api` writes `logs/cell-1-api.log`."""
        return self.logs / f"{part.replace(' ', '-')}.log"

    def record(self, part: str) -> Path:
        """Where it is written which process a part is."""
        return self.run / f"{part.replace(' ', '-')}.process"

    def tell_mover(self, dsns: Mapping[str, str]) -> Path:
        """Write the address of each cell's database, by cell, into the folder that is returned."""
        try:
            self.mover.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        for cell_id, dsn in dsns.items():
            self._write(self.mover / cell_id, dsn + "\n", 0o600)
        return self.mover

    def create(self) -> None:
        """Make the folders; those that are there stay as they are. Raises `FolderUnusable` or `DiskFull`."""
        try:
            for folder in (self.root, self.logs, self.run, self.control, self.snapshot.parent):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only one who runs this platform; within, it is a no-op to take it again.

        Raises `AlreadyRunning`. The kernel frees it when we die.
        """
        if self._locked:
            yield
            return
        self.create()
        try:
            handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            self._take(handle)
            self._locked = True
            yield
        finally:
            self._locked = False
            os.close(handle)

    def _take(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
            raise AlreadyRunning(
                f"A platform is already running in {self.root} (process {holder}): stop it, or go on using it."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

    def remembered(self) -> Remembered:
        """What the last run wrote; nothing at the first."""
        return self._read(self._platform_file, Remembered)

    def remember(self, what: Remembered) -> None:
        """Keep it for the next run, and for the operator's commands."""
        self._write(self._platform_file, _json(what), 0o644)

    def secrets(self) -> Secrets:
        """What there is so far."""
        return self._read(self._secrets_file, Secrets)

    def secrets_for(self, names: Iterable[str]) -> Secrets:
        """The secrets, with new ones for the names that have none yet."""
        there = self.secrets()
        new = {name: _new_secret(name) for name in names if name not in there.values}
        if new:
            there = Secrets(values={**there.values, **new})
            self._write(self._secrets_file, _json(there), 0o600)
        return there

    def _read(self, path: Path, kind: type[ModelT]) -> ModelT:
        try:
            text = path.read_text()
        except FileNotFoundError:
            return kind()
        except OSError as error:
            raise self._unusable(error) from error
        try:
            found = _Format.model_validate_json(text).format
            if found != FORMAT:
                raise FolderOfAnotherVersion(
                    f"{self.root} was written in format {found}, and this version reads {FORMAT}: "
                    "run the version that wrote it, or remove the folder and its data with `make clean`."
                )
            return kind.model_validate_json(text)
        except ValidationError:
            raise FolderUnusable(
                f"{path} is damaged: restore it, or remove {self.root} and its data with `make clean`."
            ) from None

    def _write(self, path: Path, content: str, mode: int) -> None:
        fresh = path.with_name(path.name + ".new")
        try:
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> Exception:
        if disk.is_full(error):
            return disk.full(self.root)
        return FolderUnusable(
            f"{self.root} cannot be used: {error.strerror}; choose another folder, or free this one."
        )


class _Format(BaseModel):
    format: int


def _new_secret(name: str) -> str:
    """256 bits; the operator's token has the form in which placement expects it."""
    return f"op_{secrets.token_urlsafe(32)}" if name == OPERATOR_TOKEN else secrets.token_hex(32)


def _json(content: BaseModel) -> str:
    return content.model_dump_json(indent=2) + "\n"
