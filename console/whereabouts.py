"""Where placement and router are, and the operator's token.

The environment comes first (`CELLWAY_PLACEMENT_URL`; `CELLWAY_OPERATOR_TOKEN`, or `…_FILE` with its path);
otherwise the folder of a platform that `cellway up` runs: `.cellway` here, or `--root`.
"""

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from console.errors import NotRunning, Usage
from console.platform.layout import OPERATOR_TOKEN, Layout, Remembered

PLACEMENT_URL = "CELLWAY_PLACEMENT_URL"
TOKEN = "CELLWAY_OPERATOR_TOKEN"  # noqa: S105 the name of a setting
TOKEN_FILE = "CELLWAY_OPERATOR_TOKEN_FILE"  # noqa: S105 the name of a setting
ROUTER_URL = "CELLWAY_ROUTER_URL"
ROUTER_ADMIN_URL = "CELLWAY_ROUTER_ADMIN_URL"
NOT_HERE = "the platform is not running here: start it with `make up` (or say where it is: --root, {setting})"


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody to call. `absent` is what to say when nobody answers.

    `authority`: who signed the certificate that is shown there; None: one that the system knows.
    """

    url: str
    absent: str
    token: str | None = None
    authority: Path | None = None

    def __repr__(self) -> str:
        return f"<Target {self.url}>"


class Whereabouts:
    """Looks things up when they are asked for."""

    def __init__(self, root: Path, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self.root = root
        self.layout = Layout(root)

    def placement(self) -> Target:
        """NotRunning; Usage."""
        url = self._environment.get(PLACEMENT_URL)
        token = self._environment.get(TOKEN) or self._token_of_file()
        if url and not token:
            raise Usage(f"{PLACEMENT_URL} is set and {TOKEN} is not: set both, or neither")
        if url:
            return Target(url.rstrip("/"), f"placement does not answer at {url}: is {PLACEMENT_URL} right?", token)
        return self._part("placement", PLACEMENT_URL, token or self.layout.secrets().values.get(OPERATOR_TOKEN))

    def _token_of_file(self) -> str | None:
        """As containers are given secrets. Usage: it cannot be read."""
        path = self._environment.get(TOKEN_FILE)
        if not path:
            return None
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Usage(f"{TOKEN_FILE}: cannot read {path}: {error}") from None

    def is_given(self) -> bool:
        """Whether the environment says where placement is."""
        return bool(self._environment.get(PLACEMENT_URL))

    def router(self) -> Target:
        """NotRunning."""
        return self._given_or_part(ROUTER_URL, "router")

    def router_admin(self) -> Target:
        """NotRunning."""
        return self._given_or_part(ROUTER_ADMIN_URL, "router admin")

    def remembered(self) -> Remembered:
        """What the platform in the folder is made of. NotRunning when there is none."""
        found = self.layout.remembered() if self.root.is_dir() else Remembered()
        if not found.urls:
            raise NotRunning(NOT_HERE.format(setting=PLACEMENT_URL))
        return found

    def is_held(self) -> bool:
        """Whether a process runs the platform in the folder: it holds the folder's lock."""
        try:
            with (self.root / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _given_or_part(self, setting: str, part: str) -> Target:
        url = self._environment.get(setting)
        if url:
            return Target(url.rstrip("/"), f"{part} does not answer at {url}: is {setting} right?")
        return self._part(part, setting, None)

    def _part(self, part: str, setting: str, token: str | None) -> Target:
        url = self.remembered().urls.get(part)
        if url is None or not self.is_held():
            raise NotRunning(NOT_HERE.format(setting=setting))
        return Target(url, f"{part} does not answer at {url}: `cellway status` shows what is down", token)
