"""The compiled form of a package is a cache: it is used while it is what the sources say, and never else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.compiled import DIGEST, FOLDER, INTERPRETED, SUFFIX
from runtime.compiled.build import build
from tests.programs import require_program

ROOT = Path(__file__).parents[2]
SOURCE = '''"""Adds."""


def added(one: int, other: int) -> int:
    """The sum."""
    return one + other
'''
IMPORTS = """
import sys, toy
from runtime.compiled import prefer
from pathlib import Path
preferred = prefer("toy", Path(sys.argv[1]))
import toy.adding
print(preferred, toy.adding.added(2, 3), toy.adding.__file__)
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package `toy` in it, compiled."""
    require_program("cc", "compiling a package")
    root = tmp_path_factory.mktemp("compiled")
    (root / "toy").mkdir()
    (root / "toy" / "__init__.py").write_text("", encoding="ascii")
    (root / "toy" / "adding.py").write_text(SOURCE, encoding="ascii")
    assert build("toy", ["adding"], root) == root / "toy" / FOLDER
    return root


def imported(root: Path, **environment: str) -> tuple[str, str, str]:
    """(whether anything is compiled, 2 + 3, the module's file), as a fresh process finds them."""
    told = {name: value for name, value in os.environ.items() if name != INTERPRETED}
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, str(root)],
        env={**told, "PYTHONPATH": f"{root}{os.pathsep}{ROOT}", **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    preferred, added, file = done.stdout.split()
    return preferred, added, Path(file).name


def test_what_is_compiled_is_used(toy: Path) -> None:
    """While the sources are what it was made from."""
    assert imported(toy) == ("True", "5", f"adding{SUFFIX}")


def test_what_is_compiled_can_be_passed_over(toy: Path) -> None:
    """To debug, or to test both forms."""
    assert imported(toy, CELLWAY_INTERPRETED="1") == ("False", "5", "adding.py")


def test_an_edited_source_is_interpreted(toy: Path) -> None:
    """Nobody ever runs something else than what is written."""
    source = toy / "toy" / "adding.py"
    source.write_text(SOURCE.replace("one + other", "one * other"), encoding="ascii")
    try:
        assert imported(toy) == ("False", "6", "adding.py")
    finally:
        source.write_text(SOURCE, encoding="ascii")
    assert imported(toy) == ("True", "5", f"adding{SUFFIX}")


def test_a_new_module_beside_it_makes_it_out_of_date(toy: Path) -> None:
    """What was taken for granted of the whole package must still hold."""
    other = toy / "toy" / "other.py"
    other.write_text("", encoding="ascii")
    try:
        assert imported(toy) == ("False", "5", "adding.py")
    finally:
        other.unlink()


@pytest.mark.parametrize("written", ["", "x", None])
def test_what_nobody_knows_the_origin_of_is_not_used(toy: Path, written: str | None) -> None:
    """A digest that is missing, empty or another's: so it is with the compiled form of another Python, too."""
    digest = toy / "toy" / FOLDER / DIGEST
    before = digest.read_text(encoding="ascii")
    digest.unlink()
    if written is not None:
        digest.write_text(written, encoding="ascii")
    try:
        assert imported(toy) == ("False", "5", "adding.py")
    finally:
        digest.write_text(before, encoding="ascii")


def test_a_build_that_fails_changes_nothing(toy: Path) -> None:
    """What was there stays, and nothing is left lying about."""
    source = toy / "toy" / "adding.py"
    source.write_text(SOURCE.replace("one + other", '"five"'), encoding="ascii")
    try:
        with pytest.raises(SystemExit):
            build("toy", ["adding"], toy)
    finally:
        source.write_text(SOURCE, encoding="ascii")
    assert sorted(path.name for path in (toy / "toy").glob("__compiled__*")) == [FOLDER]
    assert imported(toy) == ("True", "5", f"adding{SUFFIX}")


def test_what_a_killed_build_left_is_removed(toy: Path) -> None:
    """The next build does it."""
    left = toy / "toy" / f"{FOLDER}.left"
    left.mkdir()
    build("toy", ["adding"], toy)
    assert not left.exists()


def test_the_routers_compiled_form_is_what_is_tested() -> None:
    """Where it must be there (CI), so that what is shipped is what was tried."""
    require_program("cc", "compiling the router")
    if os.environ.get(INTERPRETED):
        pytest.skip(f"{INTERPRETED} is set: this run is about the sources")
    if not os.environ.get("CI"):
        pytest.skip("sources may be ahead of it while they are edited")
    done = subprocess.run(
        [sys.executable, "-c", "import router.passage; print(router.passage.__file__)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip().endswith(SUFFIX)
