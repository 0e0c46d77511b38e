"""The compiled form of a package is a cache: it is used while it is what the sources say, and never else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.compiled import FOLDER, INTERPRETED, SUFFIX, place
from runtime.compiled.build import NotCompiled, build
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
    assert build("toy", ["adding"], root) == place("toy", root)
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


@pytest.mark.parametrize("broken", ["toy__mypyc", "all", "lock"])
def test_what_cannot_be_loaded_is_not_there(toy: Path, broken: str) -> None:
    """A file that power took away, an emptied folder, a source that cannot be read: then it is interpreted."""
    made = place("toy", toy)
    aside = made.rename(toy / "aside")
    lock = toy / "toy" / ".#adding.py"
    try:
        if broken == "lock":
            shutil.copytree(aside, made)
            lock.symlink_to("nowhere")
        elif broken == "all":
            made.mkdir()
        else:
            shutil.copytree(aside, made)
            (made / f"{broken}{SUFFIX}").write_bytes(b"")
        assert imported(toy) == ("False", "5", "adding.py")
    finally:
        lock.unlink(missing_ok=True)
        shutil.rmtree(made)
        aside.rename(made)
    assert imported(toy) == ("True", "5", f"adding{SUFFIX}")


def test_a_build_that_fails_changes_nothing(toy: Path) -> None:
    """What was there stays, and nothing is left lying about."""
    source = toy / "toy" / "adding.py"
    source.write_text(SOURCE.replace("one + other", '"five"'), encoding="ascii")
    try:
        with pytest.raises(SystemExit):
            build("toy", ["adding"], toy)
    finally:
        source.write_text(SOURCE, encoding="ascii")
    assert [path.name for path in (toy / "toy" / FOLDER).iterdir()] == [place("toy", toy).name]
    assert imported(toy) == ("True", "5", f"adding{SUFFIX}")


def test_a_compiler_that_fails_is_told_of(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one error, whatever it was; and nothing is changed."""
    source = toy / "toy" / "adding.py"
    source.write_text(f"{SOURCE}\n", encoding="ascii")
    monkeypatch.setenv("CC", "/nowhere/cc")
    try:
        with pytest.raises(NotCompiled):
            build("toy", ["adding"], toy)
        assert imported(toy) == ("False", "5", "adding.py")
    finally:
        source.write_text(SOURCE, encoding="ascii")
    assert imported(toy) == ("True", "5", f"adding{SUFFIX}")


def test_only_what_the_sources_say_now_is_kept(toy: Path) -> None:
    """What a killed build left behind, and what was made of other sources, goes with the next build."""
    source, folder = toy / "toy" / "adding.py", toy / "toy" / FOLDER
    aside = shutil.copytree(folder, toy / "aside")
    (folder / "work.left").mkdir()
    source.write_text(SOURCE.replace("one + other", "one - other"), encoding="ascii")
    try:
        made = build("toy", ["adding"], toy)
        assert list(folder.iterdir()) == [made]
        assert imported(toy) == ("True", "-1", f"adding{SUFFIX}")
    finally:
        source.write_text(SOURCE, encoding="ascii")
        shutil.rmtree(folder)
        aside.rename(folder)
    assert imported(toy) == ("True", "5", f"adding{SUFFIX}")


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
