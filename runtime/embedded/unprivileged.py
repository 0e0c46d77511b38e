"""Postgres refuses to run as root; as root it runs under another uid, and we say which files it owns."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from runtime.embedded.child import run, works
from runtime.embedded.errors import CannotRunAsRoot

NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Identity:
    """`prefix` is the launcher; `owner_uid` must own the data folder, as seen from here."""

    prefix: tuple[str, ...]
    owner_uid: int
    owner_gid: int

    def own(self, folder: Path) -> None:
        """Give `folder` and all in it to the server, unless it has it already."""
        if folder.stat().st_uid == self.owner_uid:
            return
        for place, _, files in os.walk(folder):
            for path in (place, *(f"{place}/{name}" for name in files)):
                os.chown(path, self.owner_uid, self.owner_gid, follow_symlinks=False)

    def require_reach(self, *paths: Path) -> None:
        """Raise `CannotRunAsRoot` when the server's uid could not use one of the paths."""
        if not self.prefix:
            return
        for path in paths:
            code, _ = run((*self.prefix, "test", "-x", str(path)), deadline_seconds=5)
            if code != 0:
                raise CannotRunAsRoot(
                    f"Postgres does not run as root, and uid {NOBODY}, which it would run as, cannot reach "
                    f"{path}: start this as an ordinary user, or choose a folder that everybody may enter."
                )


def itself() -> Identity:
    """We are not root: the server is what we are."""
    return Identity((), os.getuid(), os.getgid())


def by_user_namespace() -> Identity:
    """Root outside is nobody inside: Postgres is content, and files stay reachable below a private home."""
    return Identity(("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"), 0, 0)


def by_setpriv() -> Identity:
    """Really another user; for machines that forbid user namespaces, as many containers do."""
    return Identity(("setpriv", "--reuid", f"{NOBODY}", "--regid", f"{NOBODY}", "--clear-groups"), NOBODY, NOBODY)


@cache
def for_postgres() -> Identity:
    """The first way that works here. Raises `CannotRunAsRoot`."""
    if os.getuid() != 0:
        return itself()
    ways: tuple[Callable[[], Identity], ...] = (by_user_namespace, by_setpriv)
    for way in ways:
        if works((*way().prefix, "true")):
            return way()
    raise CannotRunAsRoot(
        "Postgres does not run as root, and neither `unshare --user` nor `setpriv --reuid` works here: "
        "start this as an ordinary user, or use a Postgres server of your own."
    )
