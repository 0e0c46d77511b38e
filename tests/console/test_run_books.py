"""What the run books tell people to type is what the command line takes, and what they point at is there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from console.app import app

USAGE_ERROR = typer.BadParameter.__mro__[1]
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "operations"
BOOKS = sorted(path.name for path in FOLDER.glob("*.md"))
RUN_BOOKS = (
    *("first-deploy.md", "add-a-cell.md", "drain-a-cell.md", "lose-a-cell.md", "restore-a-cell.md", "upgrade.md"),
    *("rotate-secrets.md", "lose-consul.md", "lose-the-control-database.md"),
)
PARTS = ("## When", "## What you see", "## Steps", "## Verify", "## Go back", "## What tenants notice")


def lines(text: str) -> Iterator[str]:
    """Every `cellway …`: those in blocks, put together where they go on, and those within sentences."""
    blocks = re.findall(r"^ *```[a-z]*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        said = re.search(r"(?:^|[($|;] ?|&& )(cellway [a-z].*)$", line.strip())
        if said is not None and not line.lstrip().startswith("cellway: "):
            yield re.split(r"\s+#|\s+[>|]|\)\s*$|;| && ", said[1])[0].strip()
    rest = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from (said for said in re.findall(r"`(cellway [a-z][^`]*)`", rest) if not re.search(r"[|\[<]", said))


def wrong(line: str, *, whole: bool) -> str | None:
    """What the command line would say against it; `whole`: also what it lacks."""
    words = shlex.split(line.replace("…", "VALUE"))[1:]
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="cellway")
    while hasattr(command, "get_command") and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return f"no command {words[0]}"
        command, context = found, typer.Context(found, info_name=words.pop(0), parent=context)
    if not words and not whole:
        return None  # it is only named
    try:
        command.make_context(context.info_name, words, parent=context.parent)
    except USAGE_ERROR as error:
        is_lacking = type(error).__name__ == "MissingParameter"
        is_told = is_lacking and getattr(error.param, "envvar", None) is not None
        return None if is_told or (is_lacking and not whole) else error.format_message()
    return None


@pytest.mark.parametrize("book", BOOKS)
def test_every_command_of_a_book_can_be_given(book: str) -> None:
    """By the parser of the command line itself: its name, its options and what they take."""
    text = (FOLDER / book).read_text(encoding="utf-8")
    assert [(line, fault) for line in lines(text) if (fault := wrong(line, whole=False))] == []


@pytest.mark.parametrize("book", BOOKS)
def test_what_a_book_points_at_is_there(book: str) -> None:
    """Links, and files of the project that are named."""
    text = (FOLDER / book).read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^):]+)\)", text)]
    files = re.findall(r"`((?:compose|docs|tests|console|directory)/[\w./-]+)`", text)
    assert [link for link in links if link and not (FOLDER / link).exists()] == []
    assert [name for name in files if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("book", RUN_BOOKS)
def test_a_run_book_says_what_is_wanted_at_night(book: str) -> None:
    """When it is for, what one sees, what to do, how to be sure, how to undo it, and what tenants notice."""
    text = (FOLDER / book).read_text(encoding="utf-8")
    places = [text.find(f"\n{part}\n") for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)
    assert any(line.startswith("cellway ") for line in lines(text))


@pytest.mark.parametrize("book", RUN_BOOKS)
def test_alerts_that_a_run_book_names_may_fire(book: str) -> None:
    """Where there are rules beside it."""
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "compose" / "prometheus").rglob("*.y*ml"))
    named = re.findall(r"`(Cellway[A-Z]\w+)`", (FOLDER / book).read_text(encoding="utf-8"))
    assert [name for name in named if rules and f"alert: {name}" not in rules] == []


@pytest.mark.parametrize(
    "line",
    [
        "cellway cels list",
        "cellway cells frob cell-1",
        "cellway cells drain cell-1 --wait",
        "cellway cells drain",
        "cellway moves start acme --to",
        "cellway cells drain cell-1 cell-2",
        "cellway cells register cell-9 --region eu --capacity many --address http://a --control-address http://a",
    ],
)
def test_a_command_that_cannot_be_given_is_found(line: str) -> None:
    """Misspelt, with an option that is not there, without what it needs, or with too much."""
    assert wrong(line, whole=True) is not None
