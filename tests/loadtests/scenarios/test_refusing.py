"""What cannot be run somewhere is refused before anything begins, with a sentence."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests.router.errors import CannotMeasure
from loadtests.scenarios.__main__ import given_of, keys_of, options_of
from loadtests.scenarios.catalogue import BY_NAME
from loadtests.scenarios.conductor import Options, require_runnable
from loadtests.scenarios.stage import Given

KEYS = (("acme", "ck_acme_1"), ("bolt", "ck_bolt_1"))
TENANTS_ALONE = Given("https://api.example", KEYS)
WITH_PLACEMENT = Given("https://api.example", (), "https://placement.example", "op_1")


@pytest.mark.parametrize("name", ["cell_loss", "router_restart", "directory_outage", "router_rolling_upgrade"])
@pytest.mark.parametrize("given", [TENANTS_ALONE, WITH_PLACEMENT], ids=["keys", "placement"])
def test_nobody_elses_processes_are_killed(name: str, given: Given) -> None:
    """Such faults take the embedded platform."""
    with pytest.raises(CannotMeasure, match="only the embedded platform"):
        require_runnable(BY_NAME[name], Options(given=given))
    require_runnable(BY_NAME[name], Options())


@pytest.mark.parametrize("name", ["live_move", "move_storm", "onboarding_rush"])
def test_what_is_asked_of_placement_takes_a_placement(name: str) -> None:
    """And runs where there is one."""
    with pytest.raises(CannotMeasure, match="--placement"):
        require_runnable(BY_NAME[name], Options(given=TENANTS_ALONE))
    require_runnable(BY_NAME[name], Options(given=WITH_PLACEMENT))


def test_no_cell_is_emptied_that_was_not_named() -> None:
    """Whoever lives there would move."""
    with pytest.raises(CannotMeasure, match="--cell"):
        require_runnable(BY_NAME["evacuate_under_load"], Options(given=WITH_PLACEMENT))
    require_runnable(BY_NAME["evacuate_under_load"], Options(given=replace(WITH_PLACEMENT, cell="cell-9")))


@pytest.mark.parametrize("name", ["steady", "noisy_neighbour", "overload_10x"])
def test_load_alone_runs_anywhere(name: str) -> None:
    """Tenants with their keys are enough."""
    require_runnable(BY_NAME[name], Options(given=TENANTS_ALONE))


def test_a_key_file_has_a_line_for_each_tenant(tmp_path: Path) -> None:
    """Its name and a key; what is no such line is told."""
    path = tmp_path / "keys"
    path.write_text("# ours\nacme ck_acme_1\n\nbolt ck_bolt_1\n", encoding="utf-8")
    assert keys_of(path) == KEYS
    asked = options_of(["steady", "--url", "https://api.example", "--key-file", str(path)])
    assert given_of(asked) == Given("https://api.example", KEYS)
    for wrong in ("", "acme\n", "acme ck 1\n"):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(CannotMeasure, match="a line for each tenant"):
            keys_of(path)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nothing_like_it",),
        ("steady", "--url", "https://api.example"),
        ("steady", "--key-file", "keys"),
        ("steady", "--url", "https://api.example", "--placement", "https://placement.example"),
    ],
)
def test_options_that_do_not_fit_are_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """With the usage."""
    with pytest.raises(SystemExit) as ended:
        options_of(words)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


async def test_cellway_load_hands_on_what_it_is_told(tmp_path: Path, project_root: Path) -> None:
    """Also from another folder; the scenarios' exit code is its own."""
    token = tmp_path / "token"
    token.write_text("op_1", encoding="utf-8")
    words = ("cell_loss", "--url", "http://127.0.0.1:1", "--placement", "http://127.0.0.1:1", "--token-file")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "console", "load", *words, str(token)),
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(project_root)},
        stderr=PIPE,
    )
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    assert process.returncode == 2, said.decode()
    assert "only the embedded platform" in said.decode()
