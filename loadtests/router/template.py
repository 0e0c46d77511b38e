"""Configuration files with `{{name}}` where a value goes; nginx and HAProxy have taken all other signs."""

import re
from pathlib import Path

_PLACE = re.compile(r"\{\{(\w+)\}\}")
FOLDER = Path(__file__).parent


def written(name: str, path: Path, **values: object) -> Path:
    """Fill the template called `name` in, and write it to `path`. KeyError for a place without a value."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    path.write_text(_PLACE.sub(lambda place: str(values[place[1]]), text), encoding="utf-8")
    return path
