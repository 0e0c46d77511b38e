"""`cellway certificates` makes what programs accept, and never undoes what is there."""

import stat
from pathlib import Path

import pytest

from runtime.tls.calling import Calling
from runtime.tls.serving import Serving
from tests.console.conftest import Cellway
from tests.programs import require_program


@pytest.fixture(autouse=True)
def openssl() -> None:
    require_program("openssl", "certificates")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


async def test_a_fleet_gets_its_certificates_and_later_one_cell_more(cellway: Cellway, tmp_path: Path) -> None:
    """Each in the folder that its setting names; what is there stays, unless it is asked for anew."""
    fleet = tmp_path / "fleet"
    ran = await cellway("certificates", "fleet", "--cell", "cell-1", "--cell", "cell-2=cell-2-api-1,10.0.0.7")
    assert ran.code == 0, ran
    assert all(
        name in ran.out for name in ("the authority", "cell-1", "cell-2", "router", "placement", "prometheus")
    )
    assert "Keep " in ran.out
    for name in ("cell-1", "cell-2"):
        Serving(str(fleet / name), "SETTING", name)
    for name in ("cell-2-api-1", "10.0.0.7"):
        Serving(str(fleet / "cell-2"), "SETTING", name)
    for name in ("router", "placement", "prometheus"):
        Calling(str(fleet / name), "SETTING")
    for key in fleet.rglob("*key*"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600, key
    before = contents(fleet)
    ran = await cellway("certificates", "fleet", "--cell", "cell-1", "--cell", "cell-3", "--json")
    new = {one["name"]: one["new"] for one in ran.json["certificates"]}
    assert new == {
        "the authority": False,
        "cell-1": False,
        "cell-3": True,
        **dict.fromkeys(("router", "placement", "prometheus"), False),
    }
    after = contents(fleet)
    assert {name: after[name] for name in before} == before
    assert {name for name in after if name not in before} == {
        f"cell-3/{file}.pem" for file in ("ca", "cert", "key")
    }
    ran = await cellway("certificates", "fleet", "--cell", "cell-1", "--program", "router", "--renew")
    assert ran.code == 0, ran
    changed = {name for name, content in contents(fleet).items() if after[name] != content}
    assert changed == {f"{name}/{file}.pem" for name in ("cell-1", "router") for file in ("cert", "key")}
    Serving(str(fleet / "cell-1"), "SETTING", "cell-1")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--cell", "Cell_1"), "'Cell_1' is no name"),
        (("--cell", "router"), "router cannot be both a cell and a program"),
        (("--cell", "cell-1=a b"), "'a b' is no host name"),
        (("--program", "../router"), "'../router' is no name"),
    ],
)
async def test_names_that_cannot_be_are_refused(
    cellway: Cellway, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    """Before anything is made."""
    ran = await cellway("certificates", "fleet", *arguments)
    assert (ran.code, why in ran.err) == (2, True), ran
    assert not (tmp_path / "fleet").exists()


async def test_a_lost_key_of_the_authority_is_told(cellway: Cellway, tmp_path: Path) -> None:
    """A second authority of that name would make everything that the first one signed worthless."""
    assert (await cellway("certificates", "fleet", "--cell", "cell-1")).code == 0
    (tmp_path / "fleet" / "ca.key").unlink()
    ran = await cellway("certificates", "fleet", "--cell", "cell-2")
    assert (ran.code, "is there without ca.key" in ran.err) == (1, True), ran


async def test_a_machine_without_openssl_is_told(
    cellway: Cellway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = await cellway("certificates", "fleet", "--cell", "cell-1")
    assert (ran.code, "apt install openssl" in ran.err) == (1, True), ran
