"""The folder of a platform."""

import json
from pathlib import Path

import pytest

from console.platform.errors import AlreadyRunning, FolderOfAnotherVersion, FolderUnusable
from console.platform.layout import Layout, Remembered


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / ".cellway")
    made.create()
    return made


def test_secrets_are_made_once_and_are_for_the_owner_only(layout: Layout) -> None:
    """More cells add secrets; those that are there stay."""
    first = layout.secrets_for(("operator_token", "a")).values
    second = layout.secrets_for(("a", "b")).values
    assert second == {**first, "b": second["b"]}
    assert (layout.root / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert first["operator_token"].startswith("op_")
    assert len(first["operator_token"]) == 46
    assert len(set(second.values())) == 3


def test_secrets_are_not_shown(layout: Layout) -> None:
    """Not even in a traceback."""
    secrets = layout.secrets_for(("a",))
    assert secrets.values["a"] not in repr(secrets)


def test_what_was_remembered_is_read_again(layout: Layout) -> None:
    """At the first start there is nothing."""
    assert layout.remembered() == Remembered()
    kept = Remembered(cells=("cell-1",), ports={"router": 8080}, urls={"router": "http://127.0.0.1:8080"})
    layout.remember(kept)
    assert layout.remembered() == kept


def test_a_folder_has_one_platform_at_a_time(layout: Layout) -> None:
    """The second is told who the first is."""
    refused = pytest.raises(AlreadyRunning, match=r"already running .* \(process \d+\)")
    with layout.lock(), layout.lock(), refused, Layout(layout.root).lock():
        pass
    with Layout(layout.root).lock():
        pass


def test_a_folder_of_another_format_is_one_sentence(layout: Layout) -> None:
    """Even when it has fields that we do not know."""
    (layout.root / "platform.json").write_text(json.dumps({"format": 2, "novelty": []}))
    with pytest.raises(FolderOfAnotherVersion, match="written in format 2, and this version reads 1"):
        layout.remembered()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1, "cells": "many"}'])
def test_a_damaged_file_is_one_sentence(layout: Layout, text: str) -> None:
    """It names the file."""
    (layout.root / "platform.json").write_text(text)
    with pytest.raises(FolderUnusable, match=r"platform\.json is damaged"):
        layout.remembered()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """For example because a file has its name."""
    (tmp_path / "file").touch()
    with pytest.raises(FolderUnusable, match="cannot be used"):
        Layout(tmp_path / "file").create()
