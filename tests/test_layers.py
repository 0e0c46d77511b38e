"""The tree shows the architecture, and arrows point one way. These tests read the sources, nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = ("router", "cell", "placement", "migration")
MAY_IMPORT = {
    "runtime": set(),
    "directory": {"runtime"},
    "router": {"directory", "runtime"},
    "cell": {"directory", "runtime"},
    "placement": {"directory", "runtime"},
    "migration": {"directory", "runtime"},
    "console": {"directory", "runtime"},
    "loadtests": {"cell", "console", "directory", "migration", "placement", "router", "runtime"},
}
IMPURE = {
    "aiohttp",
    "asyncio",
    "asyncpg",
    "dramatiq",
    "httpx",
    "logging",
    "os",
    "pathlib",
    "prometheus_client",
} | {*("random", "redis", "secrets", "socket", "structlog", "subprocess", "threading", "time")}
UNNAMED = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "base", "misc"}


def _sources(package: str) -> Iterator[Path]:
    return (ROOT / package).rglob("*.py")


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    """runtime < directory < the four programs, of which none imports another, < console."""
    own = set(MAY_IMPORT)
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in _sources(package)
        for name in _imports(path)
        if (top := name.split(".")[0]) in own and top != package and top not in MAY_IMPORT[package]
    ]
    assert not wrong


def test_rules_are_pure() -> None:
    """What decides does no I/O, reads no clock, draws no chance and logs nothing."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for package in MAY_IMPORT
        for folder in ("rules", "balancing")
        for path in (ROOT / package).rglob(f"{folder}/*.py")
        for name in _imports(path)
        if name.split(".")[0] in IMPURE or name.startswith(("runtime.logs", "runtime.clock", "runtime.database"))
    ]
    assert not wrong


def test_background_tasks_are_created_in_one_place() -> None:
    """A bare create_task loses its exception; `runtime.tasks`, or a task group, keeps an owner for each."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for package in MAY_IMPORT
        for path in _sources(package)
        if path != ROOT / "runtime" / "tasks.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"(?<!group\.)\b(create_task|ensure_future)\(", line)
    ]
    assert not wrong


def test_sql_lives_in_files() -> None:
    """A statement that reads or writes rows is found by its file's name, with a line of why."""
    statement = re.compile(
        r"^\s*(SELECT .+ FROM [a-z]+\.|INSERT INTO|UPDATE [a-z.]+ SET|DELETE FROM)", re.IGNORECASE
    )
    wrong = []
    for package in (*PROGRAMS, "directory"):
        for path in _sources(package):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and statement.match(node.value):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong


def test_every_query_says_why() -> None:
    """The first line of a `.sql` file is a comment with the reason for its existence."""
    wrong = [
        str(path.relative_to(ROOT))
        for package in MAY_IMPORT
        for path in (ROOT / package).rglob("*.sql")
        if not path.read_text(encoding="utf-8").startswith("-- ")
    ]
    assert not wrong


def test_every_file_has_a_name_that_says_something() -> None:
    """`utils` and its like are where code goes to be forgotten."""
    wrong = [
        str(path.relative_to(ROOT)) for package in MAY_IMPORT for path in _sources(package) if path.stem in UNNAMED
    ]
    assert not wrong


def test_every_package_has_a_map() -> None:
    """Whoever opens a package reads in its docstring what is where."""
    wrong = [
        str(path.relative_to(ROOT))
        for package in MAY_IMPORT
        for path in (ROOT / package).rglob("__init__.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not wrong


def test_nothing_is_left_unfinished() -> None:
    """Main holds no stub, no TODO and no NotImplementedError."""
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for package in MAY_IMPORT
        for path in _sources(package)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert not wrong
