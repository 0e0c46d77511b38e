"""A Postgres server of our own, on a folder. See `PostgresServer`."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from runtime.embedded import disk, orphans, unprivileged
from runtime.embedded.binaries import POSTGRES_SETTING, Postgres, every_postgres, find_postgres
from runtime.embedded.child import Child, run
from runtime.embedded.errors import DataOfAnotherVersion
from runtime.embedded.server import HOST, Server
from runtime.embedded.unprivileged import Identity

SUPERUSER = "postgres"

# What is acknowledged survives kill -9 and a power cut; the rest is small, because several share a machine.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    "password_encryption": "scram-sha-256",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "huge_pages": "off",
    "jit": "off",  # short statements only; compiling them costs more than it saves
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",  # the ready line and the errors are read by us
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_min_duration_statement": "1000",
    # A statement in the log could hold a password (CREATE ROLE) or a tenant's data.
    "log_min_error_statement": "panic",
}

_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}  # no PG… variable of the caller's
# A backend of a killed server needs a moment to notice that its parent is gone.
_PASSING = ("pre-existing shared memory block",)


class Template:
    """A cluster that was never started, made by the first server that needs one and copied by all.

    initdb takes a second of CPU time, a copy a tenth. Each version of Postgres gets a folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.lock = threading.Lock()


class PostgresServer(Server):
    """Postgres on `data`, for 127.0.0.1 only, with passwords (SCRAM) for everybody.

    Invariant: a folder called `data` is complete, because initdb works beside it and the result is renamed.
    `password` is the superuser's; it is set when the cluster is created. Text is UTF-8 in the locale C: the
    same order of strings in every cell, whatever its version and the machine's libraries.
    """

    title = "Postgres"
    needed_bytes = 200_000_000
    stop_steps = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))

    def __init__(
        self,
        data: Path,
        password: str,
        log_path: Path | None = None,
        *,
        port: int = 0,
        port_setting: str = "its port",
        binaries: Postgres | None = None,
        identity: Identity | None = None,
        settings: Mapping[str, str] | None = None,
        template: "Template | None" = None,
    ) -> None:
        """With a `template`, a new cluster is a copy of it; all its copies have the same superuser's password."""
        super().__init__(data, password, log_path, port, port_setting)
        self._binaries = binaries
        self._identity = identity
        self._template = template
        self._settings = {**SETTINGS, **(settings or {})}

    def dsn(self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None) -> str:
        """The address for a role; the superuser's password when none is given."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{quote(user, safe='')}:{secret}@{HOST}:{self.port}/{quote(database, safe='')}"

    @property
    def admin_dsn(self) -> str:
        """The superuser's, for `runtime.database.bootstrap`."""
        return self.dsn()

    def _tools(self) -> tuple[Postgres, Identity]:
        self._binaries = self._binaries or self._fitting()
        self._identity = self._identity or unprivileged.for_postgres()
        return self._binaries, self._identity

    def _fitting(self) -> Postgres:
        """The preferred Postgres, or one of the data folder's version when that is another."""
        written = self._written_version()
        return next((found for found in every_postgres() if str(found.major) == written), None) or find_postgres()

    def _written_version(self) -> str | None:
        try:
            return (self.data / "PG_VERSION").read_text().strip()
        except OSError:
            return None

    def _prepare(self, end: float) -> None:
        binaries, identity = self._tools()
        if self.data.exists():
            self._require_version(binaries)
            identity.own(self.data)
        else:
            self._initialise(binaries, identity, end)
        if identity.owner_uid == unprivileged.NOBODY:
            identity.require_reach(self.data, binaries.folder / "postgres")
        self._clear_stale_lock()

    def _require_version(self, binaries: Postgres) -> None:
        written = self._written_version()
        if written is None:
            raise self._failed("the folder holds something else than a Postgres cluster")
        if written != str(binaries.major):
            raise DataOfAnotherVersion(
                f"{self.data} was written by Postgres {written}, and the one found ({binaries.folder}) is "
                f"{binaries.major}: set {POSTGRES_SETTING} to a Postgres {written} or move the folder away."
            )

    def _initialise(self, binaries: Postgres, identity: Identity, end: float) -> None:
        if self._template is None:
            self._create(self.data, binaries, identity, end)
            return
        made = self._template.folder.with_name(f"{self._template.folder.name}-{binaries.major}")
        with self._template.lock:
            if not made.exists():
                made.parent.mkdir(parents=True, exist_ok=True)
                self._create(made, binaries, identity, end)
        self._copy(made, binaries, identity, end)

    def _copy(self, made: Path, binaries: Postgres, identity: Identity, end: float) -> None:
        fresh = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        initdb = (*identity.prefix, str(binaries.folder / "initdb"), "--sync-only", f"--pgdata={fresh}")
        # What initdb has written is on the disk; so must be what is copied.
        for command in (("cp", "-Rp", str(made), str(fresh)), initdb):
            code, lines = run(command, max(0.1, end - time.monotonic()), _ENVIRONMENT)
            if disk.says_full(lines):
                raise disk.full(self.data)
            if code != 0:
                raise self._failed(f"{Path(command[-2]).name} says {self._last_words(lines)}")
        fresh.rename(self.data)

    def _create(self, folder: Path, binaries: Postgres, identity: Identity, end: float) -> None:
        fresh, secret = (folder.with_name(folder.name + end) for end in (".new", ".password"))
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        identity.own(fresh)
        if identity.owner_uid == unprivileged.NOBODY:
            identity.require_reach(fresh, binaries.folder / "initdb")
        try:
            _write_private(secret, self.password)
            os.chown(secret, identity.owner_uid, identity.owner_gid)
            self._initdb(binaries, identity, fresh, secret, max(0.1, end - time.monotonic()))
        finally:
            secret.unlink(missing_ok=True)
        fresh.rename(folder)

    def _initdb(self, binaries: Postgres, identity: Identity, folder: Path, secret: Path, seconds: float) -> None:
        command = (
            *identity.prefix,
            *(str(binaries.folder / "initdb"), f"--pgdata={folder}", f"--username={SUPERUSER}"),
            *("--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8"),
            *("--locale-provider=libc", "--locale=C", "--no-instructions"),
        )
        try:
            code, lines = run(command, seconds, _ENVIRONMENT)
        except TimeoutError as error:
            raise self._failed(str(error)) from None
        if disk.says_full(lines):
            raise disk.full(self.data)
        if code != 0:
            complaints = [line for line in lines if "error" in line]
            raise self._failed(f"initdb says {self._last_words(complaints or lines)}")

    def _clear_stale_lock(self) -> None:
        """After a crash the lock file names a pid that may by now be anybody's; Postgres would refuse."""
        lock = self.data / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        if str(self.data) not in orphans.command_line(pid):
            lock.unlink(missing_ok=True)

    def _launch(self) -> Child:
        binaries, identity = self._tools()
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        return Child(
            (binaries.folder / "postgres", "-D", self.data, "-p", str(self.port), *options),
            self._log,
            env=_ENVIRONMENT,
            ready_line="database system is ready to accept connections",
            dies_by=signal.SIGINT,
            prefix=identity.prefix,
        )

    def _confirm(self, end: float) -> None:
        """Its ready line comes after it listens: nothing to add."""

    def _passing(self, lines: Sequence[str]) -> bool:
        return any(sign in line for line in lines for sign in _PASSING)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
