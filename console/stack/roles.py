"""The roles of a Postgres, made as the addresses say that their programs are told. Again and again: harmless."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from console.errors import NotRunning, Refused, Usage


@dataclass(frozen=True, slots=True)
class Roles:
    """Of one database. `passwords` by role; `owner` is the one whose name ends so."""

    database: str
    owner: str
    passwords: dict[str, str]

    def __repr__(self) -> str:
        return f"<Roles {', '.join(self.passwords)} of {self.database}>"


def told(paths: Sequence[Path]) -> Roles:
    """What the files say. Usage."""
    passwords: dict[str, str] = {}
    databases: set[str] = set()
    for path in paths:
        parts = urlsplit(text_of(path))
        if parts.scheme not in ("postgres", "postgresql") or not (
            parts.username and parts.password and parts.path
        ):
            raise Usage(f"{path} does not hold postgresql://role:password@host:5432/database")
        passwords[unquote(parts.username)] = unquote(parts.password)
        databases.add(unquote(parts.path.removeprefix("/")))
    owners = [role for role in passwords if role.endswith("_owner")]
    if len(databases) != 1 or len(owners) != 1:
        raise Usage("the files must be of one database, and one of them of its owner, whose role ends in _owner")
    return Roles(databases.pop(), owners[0], passwords)


def text_of(path: Path) -> str:
    """What is in a file. Usage."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{path} cannot be read: {error}") from error


def with_password(dsn: str, password: str) -> str:
    """The address with the password of its role. Usage: there is no role in it, or a password already."""
    parts = urlsplit(dsn)
    user, at, host = parts.netloc.rpartition("@")
    if not at or ":" in user:
        raise Usage(
            "with a password from a file, the administrator's DSN looks like postgresql://admin@host:5432/postgres"
        )
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()


async def make(admin_dsn: str, roles: Roles) -> None:
    """Create them with their database, or give them these passwords. NotRunning, Refused."""
    import asyncpg

    from directory.fence import MOVER_ROLES
    from runtime import database as postgres
    from runtime.errors import StartFailed

    try:
        await postgres.bootstrap(
            admin_dsn,
            database=roles.database,
            owner=roles.owner,
            roles=roles.passwords,
            replicating=[role for role in roles.passwords if role in MOVER_ROLES],
        )
    except StartFailed as error:
        raise NotRunning(str(error)) from error
    except asyncpg.PostgresError as error:
        raise Refused(f"Postgres at {postgres.address(admin_dsn)} refuses: {error}") from error
