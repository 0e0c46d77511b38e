"""Where the cells' databases are: a file for each cell, read whenever it is needed.

So a cell is added, or its password changed, without a restart; and secrets come as files, as containers give them.
"""

from pathlib import Path

from directory.rules.names import is_name
from migration.errors import Obstacle


class Databases:
    """The addresses, by cell."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"<Databases in {self._folder}>"

    def dsn(self, cell_id: str) -> str:
        """Obstacle: it is not there."""
        if not is_name(cell_id):
            raise Obstacle(f"{cell_id!r} is no name of a cell")
        try:
            return (self._folder / cell_id).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Obstacle(
                f"this mover does not know the database of {cell_id}: write its address as role cell_mover "
                f"into {self._folder / cell_id} ({error.strerror})"
            ) from error
