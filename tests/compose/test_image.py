"""The image: what its Dockerfile says, and what its steps make where there is nothing but Debian."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.compose.image import Builder, Built, ignored, run_in, stages
from tests.compose.reading import FOLDER
from tests.programs import require_program

ROOT = FOLDER.parent
TEXT = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
USER = "10001:10001"
PACKAGES = ("runtime", "directory", "router", "cell", "placement", "migration", "console")

NEVER = {".", "*", "compose", "tests", "loadtests", "secrets"}


def wrongs(text: str) -> list[str]:
    """What is wrong with a Dockerfile in the eyes of whoever has to defend what it makes."""
    *_, last = found = stages(text)
    made = [
        f"{stage.base} is not pinned" for stage in found if not re.search(r":[\w.-]*\d{8}[\w.-]*$", stage.base)
    ]
    users = [step.rest for step in last.steps if step.name == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]):
        made.append("it runs as root, or as a user without a number")
    for stage in found:
        for step in stage.steps:
            if step.name in ("ENV", "ARG") and re.search(r"PASSWORD|SECRET|TOKEN|_KEY|DSN|PEPPER", step.rest):
                made.append(f"a secret in {step.name}")
            if step.name == "ADD" or "curl" in step.rest or "wget" in step.rest:
                made.append("something is fetched that nobody has checked")
            if step.name == "COPY" and {word.split("/")[0] for word in step.rest.split()[:-1]} & NEVER:
                made.append(f"COPY {step.rest} takes more than the programs")
    if any(re.search(r"\b(gcc|g\+\+|make|python3-dev|build-essential)\b", step.rest) for step in last.steps):
        made.append("a compiler in what is delivered")
    return made


def test_it_has_no_secret_no_compiler_and_no_root() -> None:
    """As far as the file says."""
    assert wrongs(TEXT) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("USER 10001:10001", "USER root", "runs as root"),
        ("USER 10001:10001\n", "", "runs as root"),
        ("debian:bookworm-20250721-slim", "debian:bookworm-slim", "not pinned"),
        ("install --yes --no-install-recommends ca-certificates", "install --yes gcc", "a compiler"),
        ("ENV PATH", "ENV CELLWAY_CELL_PAGE_KEY=1 PATH", "a secret in ENV"),
        ("COPY runtime runtime", "COPY . .", "takes more"),
        ("COPY runtime runtime", "COPY compose/secrets /run/secrets", "takes more"),
        ("COPY runtime runtime", "ADD https://example.com/x.tar.gz /", "fetched"),
    ],
)
def test_each_mistake_is_found(right: str, wrong: str, said: str) -> None:
    """Planted once each."""
    assert right in TEXT
    assert any(said in sentence for sentence in wrongs(TEXT.replace(right, wrong)))


def test_nothing_else_is_sent_to_the_builder() -> None:
    """Above all no secret, no history, no data."""
    kept = ignored((ROOT / ".dockerignore").read_text(encoding="utf-8"))
    away = (
        "compose/secrets/page-key",
        "compose",
        ".git/config",
        ".cellway/secrets.json",
        "tests/conftest.py",
        ".venv/x",
    )
    assert [path for path in (*away, ".env", "compose/.env", "router/__pycache__/x.pyc") if not kept(path)] == []
    assert [
        path for path in ("pyproject.toml", "requirements.lock", *PACKAGES, "cell/sql/enter.sql") if kept(path)
    ] == []


def test_what_is_installed_is_what_is_copied() -> None:
    """A package of ours that was forgotten would be missed only when it runs."""
    copied = {step.rest.split()[0] for stage in stages(TEXT) for step in stage.steps if step.name == "COPY"}
    declared = re.search(r"include = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert declared is not None
    assert set(re.findall(r'"(\w+)\*"', declared[1])) == set(PACKAGES) <= copied


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The image, made by the file's own steps; a minute or two, so where CI asks for it.

    What this checkout has compiled already of the same sources is used; CELLWAY_IMAGE_TEST=whole compiles it anew.
    """
    if not (os.environ.get("CI") or os.environ.get("CELLWAY_IMAGE_TEST")):
        pytest.skip("it takes a minute or two: set CELLWAY_IMAGE_TEST=1 (CI does)")
    if os.getuid() != 0 or subprocess.run(["/usr/bin/unshare", "--mount", "true"], check=False).returncode != 0:
        pytest.skip("a root file system is made and entered by root alone")
    program = require_program("mmdebstrap", "a root file system to make the image in")
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    try:
        base = folder / "debian"
        subprocess.run([program, "--quiet", "--variant=minbase", "bookworm", str(base)], check=True, timeout=900)
        given = () if os.environ.get("CELLWAY_IMAGE_TEST") == "whole" else ("router/__compiled__",)
        yield Builder(folder, base, ROOT, given).build(TEXT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.stack
def test_its_steps_make_an_image_in_which_the_programs_run(built: Built) -> None:
    """As the stack starts it: its own user, a root that cannot be written, no capability."""
    assert (built.user, built.command) == (USER, ("cellway", "--help"))
    helped = run_in(built, built.command, sealed=True)
    assert (helped.returncode, "bootstrap" in helped.stdout) == (0, True), helped.stderr
    for words in (["router"], ["cell"], ["cell.worker"], ["placement"], ["migration"]):
        ran = run_in(built, ["python", "-m", *words], sealed=True)
        assert (ran.returncode, "Field required" in ran.stderr) == (2, True), ran.stderr
    compiled = run_in(built, ["python", "-c", "import router; print(router.IS_COMPILED)"], sealed=True)
    assert compiled.stdout.strip() == "True", compiled.stderr
    assert run_in(built, ["python", "-m", "runtime.ready", "8082"], sealed=True).returncode == 1
    made = run_in(built, ["sh", "-c", "cellway secrets /tmp/made && cat /tmp/made/cell-1-redis.acl"], sealed=True)
    assert "user default off" in made.stdout, made.stderr

    written = run_in(
        built, ["sh", "-c", "id -u; touch /opt/x /etc/x /var/lib/cellway/x; touch /tmp/x && echo tmp"], sealed=True
    )
    assert written.stdout.split() == ["10001", "tmp"]
    tools = run_in(built, ["sh", "-c", "command -v gcc cc make pip pip3 wget curl"], sealed=True)
    assert tools.stdout == ""
    for place in ("build", "machine-authorities.crt", "run/secrets"):
        assert not (built.root / place).exists()
    ours = built.root / "opt/cellway"
    assert {path.stat().st_uid for path in ours.rglob("*") if not path.is_symlink()} == {0}
