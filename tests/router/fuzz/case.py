"""One input: what a client says, what its cell answers, in which pieces, and what becomes of both."""

import hashlib
import json
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path


class Mood(Enum):
    """How the two ends behave besides what they say."""

    ORDINARY = "the client leaves when nothing more happens"
    PATIENT = "the client stays until every deadline has passed"
    FLOOD = "the client sends its bytes again and again, and the cell takes none and says nothing"
    DEAF = "the client reads nothing, and the cell says what it says again and again"


@dataclass(frozen=True, slots=True)
class Case:
    """`client` and `cell` are cut at the offsets. `cell` empty: the cell answers as it should."""

    client: bytes
    client_cuts: tuple[int, ...] = ()
    cell: bytes = b""
    cell_cuts: tuple[int, ...] = ()
    then: str = "close"
    mood: Mood = Mood.ORDINARY

    def dump(self) -> str:
        """As JSON; bytes as Latin-1, so that people can read them."""
        plain = {
            "client": self.client.decode("latin-1"),
            "client_cuts": self.client_cuts,
            "cell": self.cell.decode("latin-1"),
            "cell_cuts": self.cell_cuts,
            "then": self.then,
            "mood": self.mood.name,
        }
        return json.dumps(plain, indent=2) + "\n"

    def save(self, folder: Path) -> Path:
        """Write it where `--repeat` finds it."""
        folder.mkdir(parents=True, exist_ok=True)
        text = self.dump()
        path = folder / f"found-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
        path.write_text(text, encoding="utf-8")
        return path


def load(path: Path) -> Case:
    """What `save` wrote."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    return replace(
        Case(plain["client"].encode("latin-1"), tuple(plain["client_cuts"])),
        cell=plain["cell"].encode("latin-1"),
        cell_cuts=tuple(plain["cell_cuts"]),
        then=plain["then"],
        mood=Mood[plain["mood"]],
    )
