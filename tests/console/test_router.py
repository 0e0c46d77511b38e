"""`cellway router` on the command line; what it does is tested where the router is."""

from typing import Any

import pytest

from tests.console.conftest import Cellway


async def test_the_exports_options_reach_the_routers_program(
    cellway: Cellway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The console may not import the router, so it becomes the router's program."""
    became: list[Any] = []
    monkeypatch.setattr("os.execv", lambda program, words: became.append((program, words)))
    asked = ("--output", "out", "--listen", ":80", "--follow", "--certificate", "c.pem", "--no-lua", "--json")
    assert (await cellway("router", "export", "haproxy", *asked)).code == 0
    [(program, words)] = became
    assert words[:4] == [program, "-m", "router.export", "haproxy"]
    assert set(words[4:]) == set(asked)


async def test_an_export_needs_a_folder(cellway: Cellway) -> None:
    """It is wrong usage otherwise."""
    ran = await cellway("router", "export", "haproxy")
    assert (ran.code, "--output" in ran.err) == (2, True)
