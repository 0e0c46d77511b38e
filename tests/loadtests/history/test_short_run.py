"""A short history of a whole platform, with moves and faults; and the same without the fence."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

pytestmark = pytest.mark.platform
MOST_SECONDS = 240
"""For a machine with much else to do; it takes half a minute."""


async def test_a_short_history_holds_and_without_the_fence_it_does_not(project_root: Path, tmp_path: Path) -> None:
    """Exit code 0 says both: nothing was lost, doubled or stale; and what must be found out was found out."""
    result = tmp_path / "history.json"
    words = ("-m", "loadtests.history", "--short", "--seed", "1", "--json", str(result), "--folder", str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=project_root, stdout=PIPE, stderr=STDOUT
    )
    async with asyncio.timeout(MOST_SECONDS):
        said, _ = await process.communicate()
    print(said.decode())
    assert process.returncode == 0, said.decode()[-4000:]
    figures = json.loads(result.read_text(encoding="utf-8"))
    assert figures["acknowledged"] > 0
    assert figures["moves"].get("DONE", 0) > 0
    assert {figures[fault] for fault in ("lost", "doubled", "stale", "phantom", "order", "undecided")} == {0}
    assert figures["without_the_fence"]
