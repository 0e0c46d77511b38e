"""A folder with certificates: what is wrong with it is said at the start, and what replaces it is tried first."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.errors import StartFailed
from runtime.health import Unhealthy
from runtime.tls import credentials
from runtime.tls.calling import Calling
from runtime.tls.serving import Serving
from tests.fleets import SETTING, Fleet, copied, put
from tests.waiting import eventually


def test_what_the_command_makes_is_sound(fleet: Fleet) -> None:
    """For a cell under its name, and for whoever calls cells."""
    assert "cell-1" in repr(fleet.serving())
    assert fleet.calling().until == fleet.serving().until


@pytest.mark.parametrize("name", credentials.FILES)
@pytest.mark.parametrize("wrong", ["is missing", "cannot be used"])
def test_a_file_that_is_not_as_it_must_be_is_named(fleet: Fleet, tmp_path: Path, name: str, wrong: str) -> None:
    """With the setting that leads there, or with what is wrong in it."""
    folder = copied(fleet.cell(), tmp_path / "cell")
    if wrong == "is missing":
        (folder / name).unlink()
    else:
        (folder / name).write_text("-----BEGIN NOTHING-----\n")
    with pytest.raises(StartFailed, match=f"{name}.* {wrong}") as failed:
        Serving(str(folder), SETTING, "cell-1")
    assert wrong == "cannot be used" or SETTING in str(failed.value)


def of_another_key(fleet: Fleet, folder: Path) -> None:
    shutil.copy(fleet.cell("cell-2") / "key.pem", folder / "key.pem")


def locked(fleet: Fleet, folder: Path) -> None:
    key = folder / "key.pem"
    command = ["openssl", "ec", "-in", str(key), "-aes128", "-passout", "pass:secret", "-out", str(key)]
    subprocess.run(command, check=True, capture_output=True)


def of_another_fleet(fleet: Fleet, folder: Path) -> None:
    other = Fleet(folder.parent / "other")
    shutil.copy(other.authority, folder / "ca.pem")


def of_another_cell(fleet: Fleet, folder: Path) -> None:
    put(fleet.cell("cell-2"), folder)


def of_a_caller(fleet: Fleet, folder: Path) -> None:
    put(fleet.program("router"), folder)


def too_old(fleet: Fleet, folder: Path) -> None:
    put(fleet.expired("cell-1", folder.parent), folder)


MISTAKES: dict[Callable[[Fleet, Path], None], str] = {
    of_another_key: "key.pem is not the key of .*cert.pem",
    locked: "key.pem has a passphrase",
    of_another_fleet: "cert.pem would be refused: it is not signed by the authority in ca.pem",
    of_another_cell: "cert.pem would be refused: .*not valid for 'cell-1'",
    of_a_caller: "cert.pem would be refused: it is not made for that use",
    too_old: "cert.pem would be refused: it is expired",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_nobody_would_accept_is_found_at_the_start(
    fleet: Fleet, tmp_path: Path, mistake: Callable[[Fleet, Path], None]
) -> None:
    """Not by those who call later: a handshake in memory is what they would make of it."""
    folder = copied(fleet.cell(), tmp_path / "cell")
    mistake(fleet, folder)
    with pytest.raises(StartFailed, match=MISTAKES[mistake]):
        Serving(str(folder), SETTING, "cell-1")


def test_whoever_calls_is_told_what_cells_would_not_accept(fleet: Fleet, tmp_path: Path) -> None:
    """A cell's certificate is not good for calling other cells, and one that is over is good for nothing."""
    with pytest.raises(StartFailed, match="not made for that use"):
        Calling(str(fleet.cell()), SETTING)
    with pytest.raises(StartFailed, match="expired"):
        Calling(str(fleet.expired("router", tmp_path)), SETTING)


async def test_files_that_are_replaced_are_taken_up_once_they_are_sound(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of a new set changes nothing and is told; the other half mends it."""
    monkeypatch.setattr(credentials, "LOOK_SECONDS", 0.0)
    folder, fresh = (
        copied(fleet.program(), tmp_path / "router"),
        copied(fleet.program("other"), tmp_path / "other"),
    )
    calling = Calling(str(folder), SETTING)
    first = calling.context
    await calling.step()
    assert calling.context is first
    shutil.copy(fresh / "cert.pem", folder / "cert.pem")
    await calling.step()
    assert calling.context is first
    with pytest.raises(Unhealthy, match=r"the one of before is still used: .*key\.pem is not the key"):
        await calling.check()
    shutil.copy(fresh / "key.pem", folder / "key.pem")

    async def taken_up() -> bool:
        await calling.step()
        return calling.context is not first

    await eventually(taken_up)
    assert await calling.check() == f"until {calling.until}"


async def test_a_certificate_that_expires_while_it_is_used_is_told(fleet: Fleet) -> None:
    """On the page of health, which does not take the process out of service, and as a metric before."""
    calling = fleet.calling()
    assert credentials.EXPIRES.labels(str(calling.folder))._value.get() == calling.expires_at
    calling.expires_at = 0.0
    with pytest.raises(Unhealthy, match="expired on 1970-01-01: replace it"):
        await calling.check()
