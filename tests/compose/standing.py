"""Every service's own command as a plain process, with its own environment, secrets and files.

Real servers of this machine stand in for those of the images. Each service has an address of its own on the
loopback network, on which it uses the ports that its file says; names, `0.0.0.0` and paths of a container are
replaced by what stands for them here, and nothing else is: a variable, a port, a command or a secret that is wrong
does not work here either. No variable of whoever runs the tests is passed on.
"""

import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runtime.embedded import unprivileged
from runtime.embedded.binaries import find_postgres, find_redis
from tests.compose.reading import FOLDER, SECRETS, Service, Stack, names_of
from tests.programs import require_program

ROOT = FOLDER.parent
LOOK_SECONDS = 0.2
CHECK_SECONDS = 1.0
"""Between two health checks of a service, as its file says while it starts."""
START_SECONDS = 300.0
"""Forty processes, on a machine with much else to do."""
STOP_SECONDS = 15.0
STARTS = 20
"""So often is a job tried that fails, as its file says."""


class DidNotStand(AssertionError):
    """A service did not become healthy, or a job did not succeed; with the last lines of its log."""


@dataclass(slots=True)
class Standing:
    """One service as a process."""

    service: Service
    address: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    healthy: bool = False
    done: bool = False
    starts: int = 0
    check: subprocess.Popen[bytes] | None = None
    asked: float = 0.0

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def forget_check(self) -> None:
        """Its health check may still be on its way."""
        if self.check is not None:
            self.check.kill()
            self.check.wait()
            self.check = None

    def last_words(self) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"{self.service.name}: " + "\n".join(text.splitlines()[-15:])


@dataclass(slots=True)
class Machine:
    """Runs a stack. `secrets` is the folder that `cellway secrets` made."""

    stack: Stack
    secrets: Path
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="cw-", dir="/tmp")))
    standing: dict[str, Standing] = field(default_factory=dict)
    network: str = ""

    def __post_init__(self) -> None:
        self.folder.chmod(0o755)
        self.network = self.network or f"127.{random.randint(2, 250)}.{random.randint(2, 250)}"  # noqa: S311
        self._take(self.stack)

    def _take(self, stack: Stack) -> None:
        for service in stack.services.values():
            known = self.standing.get(service.name)
            if known is None:
                address = f"{self.network}.{len(self.standing) + 1}"
                self.standing[service.name] = Standing(service, address, self.folder / service.name)
            else:
                known.service = service
        self.stack = stack

    def address(self, name: str) -> str:
        """Where a service is; also by an alias."""
        return self.standing[names_of(self.stack)[name]].address

    # ---- what of a container is called otherwise here

    def here(self, text: str, standing: Standing) -> str:
        """Names, addresses and paths of a container, as they are here."""
        names = {name: self.standing[service].address for name, service in names_of(self.stack).items()}
        paths = self._paths(standing)
        fixed = {
            told: other.address for other in self.standing.values() for told in other.service.addresses.values()
        }
        fixed["0.0.0.0"] = standing.address
        pattern = (
            rf"(?<![\w.-])(?P<name>{_any(names)})(?=:\d)|(?<![\w/.])(?P<path>{_any(paths)})(?=[/\s:\"',]|$)"
            rf"|(?P<fixed>{_any(fixed)})"
        )
        known = {**names, **paths, **fixed}
        return re.sub(pattern, lambda found: known[found[0]], text)

    def _paths(self, standing: Standing) -> dict[str, str]:
        service, folder = standing.service, standing.folder
        paths = {target: folder / "secrets" / target.lstrip("/") for target in service.secrets}
        for target in service.secrets:
            if (above := target.rpartition("/")[0]) != "/run/secrets":
                paths[above] = folder / "secrets" / above.lstrip("/")
        for mount in service.mounts:
            ours = mount.source.startswith((".", "/"))
            beside = folder / "files" / mount.target.lstrip("/")
            paths[mount.target] = beside if ours else self._volume(mount.source)
        for told in service.told.get("tmpfs") or ():
            target = told.partition(":")[0]
            paths[target] = folder / "tmpfs" / target.lstrip("/")
        return {target: str(path) for target, path in paths.items()}

    def _volume(self, name: str) -> Path:
        return self.folder / "volumes" / name

    # ---- what a container finds

    def furnish(self, standing: Standing) -> None:
        """Its secrets, its files and its volumes, where its command will look for them."""
        service = standing.service
        for target, name in service.secrets.items():
            text = self._source(self.stack.files[name]).read_text()
            self._put(standing.folder / "secrets" / target.lstrip("/"), self.here(text, standing))
        for mount in service.mounts:
            if not mount.source.startswith((".", "/")):
                self._volume(mount.source).mkdir(parents=True, exist_ok=True)
            elif (source := self._source(mount.source)).is_file():
                text = self.here(_bound(source.read_text(), standing.address), standing)
                self._put(standing.folder / "files" / mount.target.lstrip("/"), text)
            else:
                for path in source.rglob("*"):
                    if path.is_file():
                        target = standing.folder / "files" / mount.target.lstrip("/") / path.relative_to(source)
                        self._put(target, self.here(path.read_text(), standing))
        for told in service.told.get("tmpfs") or ():
            (standing.folder / "tmpfs" / told.partition(":")[0].lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _source(self, told: str) -> Path:
        """What lies beside the files, or in the folder of secrets."""
        return self.secrets / told.removeprefix(SECRETS) if told.startswith(SECRETS) else FOLDER / told

    def _put(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def environment(self, standing: Standing) -> dict[str, str]:
        """Its own, and what an image has of itself."""
        told = {name: self.here(value, standing) for name, value in standing.service.environment.items()}
        image = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONPATH": str(ROOT)}
        if "CELLWAY_INTERPRETED" in os.environ:
            image["CELLWAY_INTERPRETED"] = os.environ["CELLWAY_INTERPRETED"]
        return {**image, **told}

    def command(self, standing: Standing) -> list[str]:
        """Its own; the program is the one that stands in for the image's."""
        words = [self.here(word, standing) for word in standing.service.command]
        return [*STAND_INS[words[0]](), *words[1:]]

    # ---- running

    def up(
        self, stack: Stack | None = None, *, without: Sequence[str] = (), seconds: float = START_SECONDS
    ) -> None:
        """Start all that does not run, each once what it needs is healthy or done. DidNotStand."""
        if stack is not None:
            self._take(stack)
        end = time.monotonic() + seconds
        wanted = [each for each in self.standing.values() if each.service.name not in without]
        while not all(_stands(each) for each in wanted):
            for each in wanted:
                self._look(each)
            late = [each for each in wanted if not _stands(each)]
            if late and time.monotonic() > end:
                running = [each for each in late if each.process is not None] or late
                raise DidNotStand(f"after {seconds} s:\n" + "\n\n".join(each.last_words() for each in running))
            time.sleep(LOOK_SECONDS)

    def _look(self, standing: Standing) -> None:
        service, process = standing.service, standing.process
        if _stands(standing) and not (process is not None and process.poll() is not None and not service.is_job):
            return
        if process is None:
            if all(self._is(name, condition) for name, condition in service.needs.items()):
                self.start(service.name)
        elif (code := process.poll()) is not None:
            if service.is_job and code == 0:
                standing.done = True
            elif not service.is_job or standing.starts >= STARTS:
                raise DidNotStand(f"ended with {code}: {standing.last_words()}")
            else:
                standing.process = None
        elif not service.is_job:
            standing.healthy = self._checked(standing)

    def _is(self, name: str, condition: str) -> bool:
        other = self.standing[name]
        return other.done if condition == "service_completed_successfully" else other.healthy

    def start(self, name: str) -> None:
        """Start one, furnished anew."""
        standing = self.standing[name]
        self.furnish(standing)
        command, environment = self.command(standing), self.environment(standing)
        if standing.service.command[0] == "postgres":
            command = self._postgres(standing, command, environment)
        with standing.log.open("ab") as log:
            log.write(f"$ {shlex.join(command)}\n".encode())
            log.flush()
            standing.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=standing.folder
            )
        standing.starts += 1
        standing.healthy = standing.done = False

    def _postgres(self, standing: Standing, command: list[str], environment: Mapping[str, str]) -> list[str]:
        """As the image's entry point does: make the cluster once, with the password of a file; not as root."""
        identity = unprivileged.for_postgres()
        data = Path(environment["PGDATA"])
        for folder in (data.parent, *(standing.folder / "tmpfs").rglob("*"), standing.folder / "secrets"):
            identity.own(folder) if folder.is_dir() else None
        if not (data / "PG_VERSION").exists():
            made = [*identity.prefix, str(find_postgres().folder / "initdb"), f"--pgdata={data}", "--no-sync"]
            made += ["--username=postgres", f"--pwfile={environment['POSTGRES_PASSWORD_FILE']}"]
            made += shlex.split(environment["POSTGRES_INITDB_ARGS"])
            with standing.log.open("ab") as log:
                subprocess.run(made, check=True, stdout=log, stderr=log, env=dict(environment), cwd="/tmp")  # noqa: S108
        # It may not read what is in the folder of whoever started it; the settings say where it listens.
        own = ["-D", str(data), "-c", f"listen_addresses={standing.address}", "-c", "shared_buffers=16MB"]
        return [*identity.prefix, *command, *own, "-c", "fsync=off"]

    def _checked(self, standing: Standing) -> bool:
        """What the service's own health check says; asked beside everything else."""
        if standing.check is None and time.monotonic() < standing.asked + CHECK_SECONDS:
            return False
        if standing.check is None:
            standing.asked = time.monotonic()
            standing.check = subprocess.Popen(
                self._check(standing),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self.environment(standing),
            )
            return False
        code = standing.check.poll()
        if code is not None:
            standing.check = None
        return code == 0

    def _check(self, standing: Standing) -> list[str]:
        kind, *words = standing.service.told["healthcheck"]["test"]
        words = [self.here(word, standing).replace("127.0.0.1", standing.address) for word in words]
        if kind == "CMD-SHELL":
            cli = shutil.which("valkey-cli") or shutil.which("redis-cli")
            text = words[0] if "valkey-cli" not in words[0] or cli else words[0].replace("valkey-cli", PING)
            return ["sh", "-c", text.replace("valkey-cli", cli or "")]
        if words[1:3] == ["-m", "runtime.ready"]:
            words[3:] = [f"{standing.address}:{word}" if word.isdigit() else word for word in words[3:]]
        return [*STAND_INS[words[0]](), *words[1:]]

    def kill(self, name: str) -> None:
        """kill -9."""
        standing = self.standing[name]
        standing.forget_check()
        if standing.process is not None:
            standing.process.kill()
            standing.process.wait()
        standing.process, standing.healthy = None, False

    def stop(self, name: str) -> None:
        """As Compose does before it replaces one; it may take as long as its file says. AssertionError."""
        standing = self.standing[name]
        assert standing.process is not None
        standing.forget_check()
        standing.process.terminate()
        seconds = float(str(standing.service.told["stop_grace_period"]).removesuffix("s"))
        assert standing.process.wait(seconds) in (0, -signal.SIGTERM), standing.last_words()
        standing.process, standing.healthy = None, False

    def down(self) -> None:
        """Everything ends, and nothing is left."""
        for each in self.standing.values():
            each.forget_check()
        running = [(each.service, each.process) for each in self.standing.values() if each.process is not None]
        for service, process in running:
            # Its data goes with it, so nobody is waited for; but what Postgres shares with its own is given back.
            process.send_signal(signal.SIGQUIT if service.command[0] == "postgres" else signal.SIGKILL)
        end = time.monotonic() + STOP_SECONDS
        for _, process in running:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _stands(standing: Standing) -> bool:
    return standing.done or standing.healthy


def _any(words: Iterable[str]) -> str:
    """A pattern for any of them, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


def _bound(text: str, address: str) -> str:
    """A configuration that listens everywhere listens at the service's own address."""
    text = re.sub(r"^(\s*bind) :(\d+)", rf"\1 {address}:\2", text, flags=re.MULTILINE)
    text = re.sub(r"^bind \* -::\*$", f"bind {address}", text, flags=re.MULTILINE)
    # A container gets the files that it may open from its service; here they are those of whoever runs the tests.
    return re.sub(r"^(\s*maxconn) \d+", r"\1 1000", text, flags=re.MULTILINE)


def _python() -> list[str]:
    return [sys.executable]


def _cellway() -> list[str]:
    return [sys.executable, "-m", "console"]


def _consul() -> list[str]:
    return [require_program("consul", "the stack's registry")]


def _haproxy() -> list[str]:
    return [require_program("haproxy", "the stack's way in")]


def _wget() -> list[str]:
    return [require_program("wget", "the stack's health checks")]


def _pg_isready() -> list[str]:
    beside = find_postgres().folder / "pg_isready"
    return [str(beside) if beside.exists() else require_program("pg_isready", "the stack's health checks")]


STAND_INS: Mapping[str, Callable[[], list[str]]] = {
    "python": _python,
    "cellway": _cellway,
    "postgres": lambda: [str(find_postgres().folder / "postgres")],
    "valkey-server": lambda: [str(find_redis().program)],
    "consul": _consul,
    "haproxy": _haproxy,
    "wget": _wget,
    "pg_isready": _pg_isready,
    "sh": lambda: ["sh"],
}
"""The program that each first word of a command means here. Images of others, by what they run."""

PING = shlex.join(
    [
        sys.executable,
        "-c",
        "import socket, sys\n"
        "c = socket.create_connection((sys.argv[2], int(sys.argv[4])), 3)\n"
        "c.sendall(b'PING\\r\\n')\n"
        "print(c.recv(100).decode().lstrip('+-'))",
    ]
)
"""For machines without the client of Redis: it says the same."""


def without_stand_ins(stack: Stack) -> list[str]:
    """Services of images whose program stands in nowhere here: what watches has tests of its own."""
    return [name for name, service in stack.services.items() if service.command[:1] not in KNOWN]


KNOWN = frozenset((word,) for word in STAND_INS)
