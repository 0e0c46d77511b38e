"""A Dockerfile's steps, run as they stand in a root file system that holds nothing but Debian.

No engine is needed, only root: each stage is a folder, and RUN is `chroot` in it. What is known is what our
Dockerfile uses; anything else is refused, so that nothing is left out in silence.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

STEP_SECONDS = 900
PASSED_ON = re.compile(r"(https?|no|ftp)_proxy|PIP_(?!FIND_LINKS|CERT)\w+", re.IGNORECASE)
"""Of the environment; as engines pass proxies on."""
AUTHORITIES = "/machine-authorities.crt"
OF_THE_MACHINE = {
    **{path: path for path in ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf")},
    "/etc/ssl/certs/ca-certificates.crt": AUTHORITIES,
}
"""Files with which its network works, and where they are within; they are taken out of what is made."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its name in capitals, and the rest."""

    name: str
    rest: str


@dataclass(frozen=True, slots=True)
class Stage:
    """From FROM to the next."""

    name: str
    base: str
    steps: tuple[Step, ...]


@dataclass(slots=True)
class Built:
    """A stage that was run: its files, and what an engine would note beside them."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    folder: str = "/"
    command: tuple[str, ...] = ()


def steps(text: str) -> Iterator[Step]:
    """The instructions; lines that end in a backslash go on."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        yield Step(name.upper(), re.sub(r"\s{2,}", " ", rest).strip())


def stages(text: str) -> list[Stage]:
    """The stages, with arguments before the first one filled in."""
    found: list[tuple[str, str, list[Step]]] = []
    arguments: dict[str, str] = {}
    for step in steps(text):
        if step.name == "ARG" and not found:
            name, _, value = step.rest.partition("=")
            arguments[name] = value
        elif step.name == "FROM":
            base, _, name = step.rest.partition(" AS ")
            found.append((name, re.sub(r"\$\{(\w+)\}", lambda each: arguments[each[1]], base), []))
        else:
            found[-1][2].append(step)
    return [Stage(name, base, tuple(own)) for name, base, own in found]


class Builder:
    """Runs the stages below `folder`; each begins as a copy of `base`, a root file system of Debian.

    `given` are folders of the context that come along although they are ignored: what was compiled of the same
    sources already, which then is not compiled once more.
    """

    def __init__(self, folder: Path, base: Path, context: Path, given: Sequence[str] = ()) -> None:
        self._folder, self._base, self._context, self._given = folder, base, context, given
        self._ignored = ignored((context / ".dockerignore").read_text(encoding="utf-8"))
        self.built: dict[str, Built] = {}

    def build(self, text: str) -> Built:
        """The last stage."""
        made = Built(self._base)
        for stage in stages(text):
            made = self.built[stage.name] = Built(self._folder / stage.name)
            subprocess.run(["/bin/cp", "-a", "--reflink=auto", f"{self._base}/.", str(made.root)], check=True)
            for step in stage.steps:
                self._run(step, made)
        return made

    def _run(self, step: Step, made: Built) -> None:
        match step.name:
            case "RUN":
                with _network(made.root):
                    run_in(made, ["/bin/sh", "-c", step.rest], check=True)
            case "COPY":
                self._copy(step.rest.split(), made)
            case "WORKDIR":
                made.folder = step.rest
                (made.root / step.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "ENV":
                made.environment |= dict(word.split("=", 1) for word in shlex.split(step.rest))
            case "USER":
                made.user = step.rest
            case "CMD":
                made.command = tuple(json.loads(step.rest))
            case "STOPSIGNAL":
                pass
            case _:
                raise NotImplementedStep(step.name)

    def _copy(self, words: Sequence[str], made: Built) -> None:
        source = self._context
        if words[0].startswith("--from="):
            source = self.built[words[0].removeprefix("--from=")].root
            words = words[1:]
        *names, target = words
        place = made.root / (target if target.startswith("/") else f"{made.folder}/{target}").lstrip("/")
        for name in names:
            whole = source / name.lstrip("/")
            if source == self._context and self._ignored(name):
                raise FileNotFoundError(f"{name} is not sent to the builder: .dockerignore")
            if not whole.is_dir():
                shutil.copy2(whole, place / Path(name).name)
            elif source == self._context:
                shutil.copytree(whole, place, symlinks=True, ignore=self._away)
            else:
                shutil.copytree(whole, place, symlinks=True, dirs_exist_ok=True)

    def _away(self, folder: str, inside: Sequence[str]) -> set[str]:
        """What of a folder is not sent to the builder."""
        paths = {name: str((Path(folder) / name).relative_to(self._context)) for name in inside}
        given = tuple(self._given)
        return {name for name, path in paths.items() if self._ignored(path) and not path.startswith(given)}


class NotImplementedStep(Exception):
    """An instruction that is not run here."""


def ignored(text: str) -> "Ignored":
    """What a `.dockerignore` keeps away."""
    return Ignored([line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")])


@dataclass(frozen=True, slots=True)
class Ignored:
    """The last pattern that fits a path, or a folder above it, decides."""

    patterns: Sequence[str]

    def __call__(self, path: str) -> bool:
        found = False
        parts = Path(path).parts
        above = ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]
        for pattern in self.patterns:
            plain = pattern.removeprefix("!")
            if any(fnmatch(each, plain) or fnmatch(f"/{each}", plain.replace("**/", "*/")) for each in above):
                found = not pattern.startswith("!")
        return found


class _network:  # noqa: N801 a context
    """The files with which names are found, for as long as something runs."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kept: dict[Path, bytes | None] = {}

    def __enter__(self) -> None:
        for name, within in OF_THE_MACHINE.items():
            place = self._root / within.lstrip("/")
            self._kept[place] = place.read_bytes() if place.exists() else None
            if Path(name).exists():
                place.unlink(missing_ok=True)
                place.write_bytes(Path(name).read_bytes())

    def __exit__(self, *_error: object) -> None:
        for place, before in self._kept.items():
            place.unlink(missing_ok=True)
            if before is not None:
                place.write_bytes(before)


def run_in(
    made: Built, command: Sequence[str], *, check: bool = False, sealed: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A command within. Sealed: as the stack starts it, on a root that cannot be written, with no right at all."""
    passed = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    told: Mapping[str, str] = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        **({} if sealed else {**passed, "PIP_CERT": AUTHORITIES}),
        **made.environment,
        **environment,
    }
    user, _, group = made.user.partition(":")
    who = ["setpriv", f"--reuid={user}", f"--regid={group or user}", "--clear-groups"]
    if sealed:
        who += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    seal = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t tmpfs tmpfs "$1/tmp" && ' * sealed
    inner = shlex.join([*who, "sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", made.folder, *command])
    script = f'{seal}mount -t proc proc "$1/proc" && exec /usr/sbin/chroot "$1" {inner}'
    return subprocess.run(
        ["/usr/bin/unshare", "--mount", "--pid", "--fork", "sh", "-ec", script, "sh", str(made.root)],
        env=dict(told),
        check=check,
        text=True,
        capture_output=True,
        timeout=STEP_SECONDS,
    )
