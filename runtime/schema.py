"""Numbered schema upgrades, applied at start under a lock.

A component keeps a folder of `NNNN_title.pre.sql` and `NNNN_title.post.sql`. `pre` only adds, so it runs
while older programs are still at work; `post` takes away, so it runs when they are gone. By default both are
applied; during a rolling upgrade programs are told `SCHEMA_PHASES=pre`, and the last one to start is told `all`.
What was applied is recorded with a checksum: a file that changed after it was applied is refused.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from runtime import logs
from runtime.database import Connection
from runtime.errors import SchemaError
from runtime.queries import Queries

log = logs.get("runtime.schema")
Phases = Literal["all", "pre", "none"]
SQL = Queries("runtime")
_NAME = re.compile(r"(?P<number>\d{4})_(?P<title>[a-z0-9_]+)\.(?P<phase>pre|post)\.sql")
LOCK = 0x63656C6C  # "cell" in ASCII; one upgrade at a time a database


@dataclass(frozen=True, slots=True, order=True)
class Upgrade:
    """One file. Files of one number run `pre` before `post`."""

    number: int
    rank: int
    title: str
    phase: Literal["pre", "post"]
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def upgrades(package: str, folder: str = "schema") -> list[Upgrade]:
    """The upgrades of a package's folder in the order in which they apply."""
    found = []
    for entry in files(package).joinpath(folder).iterdir():
        match = _NAME.fullmatch(entry.name)
        if match:
            phase: Literal["pre", "post"] = "pre" if match["phase"] == "pre" else "post"
            rank = 0 if phase == "pre" else 1
            found.append(Upgrade(int(match["number"]), rank, match["title"], phase, entry.read_text("utf-8")))
    return sorted(found)


async def upgrade(connection: Connection, component: str, steps: list[Upgrade], phases: Phases = "all") -> int:
    """Apply what is missing, in one transaction; returns how many files were applied.

    SchemaError: a file changed after it was applied, the database is newer than this program, or
    (with `phases="none"`) it is older.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await connection.execute(SQL["create_upgrades"])
        rows = await connection.fetch(SQL["applied_upgrades"], component)
        applied = {(row["number"], row["phase"]): row["checksum"] for row in rows}
        _refuse_strangers(component, steps, applied)
        missing = [step for step in steps if (step.number, step.phase) not in applied]
        if phases == "none" and any(step.phase == "pre" for step in missing):
            raise SchemaError(f"the schema of {component} is older than this program: apply {_names(missing)}")
        todo = [step for step in missing if phases == "all" or (phases == "pre" and step.phase == "pre")]
        for step in todo:
            await connection.execute(step.text)
            await connection.execute(
                SQL["record_upgrade"], component, step.number, step.phase, step.title, step.checksum
            )
            log.info(
                "schema_upgraded", component=component, number=step.number, phase=step.phase, title=step.title
            )
    return len(todo)


def _refuse_strangers(component: str, steps: list[Upgrade], applied: dict[tuple[int, str], str]) -> None:
    known: dict[tuple[int, str], Upgrade] = {(step.number, step.phase): step for step in steps}
    for key, checksum in applied.items():
        step = known.get(key)
        if step is None:
            raise SchemaError(f"the schema of {component} is newer ({key[0]:04d}) than this program: upgrade it")
        if step.checksum != checksum:
            raise SchemaError(
                f"upgrade {key[0]:04d} of {component} changed since it was applied: run the version that did it"
            )


def _names(steps: list[Upgrade]) -> str:
    return ", ".join(f"{step.number:04d}_{step.title}.{step.phase}.sql" for step in steps)
