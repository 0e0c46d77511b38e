"""What a platform of containers needs: secrets as files, roles as they say, cells that are registered again."""

import re
import stat
from pathlib import Path

import asyncpg
import pytest

from directory.control.token import control_token
from runtime.embedded.postgres import PostgresServer
from tests.console.conftest import Cellway
from tests.placement.conftest import TOKEN, Client, StartCell
from tests.servers import PASSWORD


def _files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


async def test_secrets_are_made_once(cellway: Cellway, tmp_path: Path) -> None:
    """For their owner alone, each another; what is there stays, and a cell more gets its own."""
    folder = tmp_path / "secrets"
    first = await cellway("secrets", str(folder), "--cell", "cell-1", "--json")
    assert first.code == 0, first
    made = _files(folder)
    assert set(first.json["made"]) == made.keys()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}
    passwords = [found for text in made.values() for found in re.findall(r":([0-9a-f]{64})@", text)]
    assert len(set(passwords)) == len(passwords) == 11
    assert made["cell-1-control-token"].strip() == control_token(made["control-key"].strip(), "cell-1")

    again = await cellway("secrets", str(folder), "--cell", "cell-1", "--cell", "cell-2", "--json")
    assert all(name.startswith("cell-2-") for name in again.json["made"])
    assert {name: text for name, text in _files(folder).items() if name in made} == made


async def test_what_follows_from_a_secret_follows(cellway: Cellway, tmp_path: Path) -> None:
    """A Redis password that was removed is another, and the access list has its digest; nobody else's changes."""
    folder = tmp_path / "secrets"
    await cellway("secrets", str(folder), "--cell", "cell-1")
    before = _files(folder)
    (folder / "cell-1-redis-url").unlink()
    told = await cellway("secrets", str(folder), "--cell", "cell-1", "--json")
    assert (told.json["made"], told.json["anew"]) == (["cell-1-redis-url"], ["cell-1-redis.acl"])
    after = _files(folder)
    assert {name for name in after if after[name] != before[name]} == {"cell-1-redis-url", "cell-1-redis.acl"}


async def test_an_operator_in_the_list_stays_there(cellway: Cellway, tmp_path: Path) -> None:
    """Placement's list is the operators' own; the first is brought up to date."""
    folder = tmp_path / "secrets"
    await cellway("secrets", str(folder), "--cell", "cell-1")
    tokens = folder / "operator-tokens"
    more = tokens.read_text().strip() + ",viewer:ann:op_" + "a" * 43
    tokens.chmod(0o600)
    tokens.write_text(more + "\n")
    (folder / "operator-token").unlink()
    await cellway("secrets", str(folder), "--cell", "cell-1")
    first, second = tokens.read_text().strip().split(",")
    assert first == f"admin:first:{(folder / 'operator-token').read_text().strip()}"
    assert second.startswith("viewer:ann:")


async def test_a_folder_that_others_can_enter_is_refused(cellway: Cellway, tmp_path: Path) -> None:
    """And a secret that is empty; nothing is printed of any."""
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o755)
    ran = await cellway("secrets", str(folder))
    assert (ran.code, "chmod 700" in ran.err, list(folder.iterdir())) == (1, True, [])
    folder.chmod(0o700)
    (folder / "page-key").touch()
    assert "page-key is empty" in (await cellway("secrets", str(folder))).err
    assert (await cellway("secrets", str(folder), "--cell", "Not a name")).code == 2


async def test_roles_are_as_the_files_say(
    cellway: Cellway, postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made once, and again with another password; the administrator's comes from a file."""
    place = f"127.0.0.1:{postgres_server.port}"
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    monkeypatch.setenv("CELLWAY_ADMIN_DSN", f"postgresql://postgres@{place}/postgres")
    monkeypatch.setenv("CELLWAY_ADMIN_PASSWORD_FILE", str(password))
    for secret in ("first", "second"):
        dsns = {role: f"postgresql://{role}:{secret}@{place}/shelf" for role in ("shelf_owner", "shelf_reader")}
        for role, dsn in dsns.items():
            (tmp_path / role).write_text(dsn + "\n")
        for _ in range(2):
            ran = await cellway("bootstrap", "roles", *(str(tmp_path / role) for role in dsns), "--json")
            assert ran.code == 0, ran
            assert ran.json == {"database": "shelf", "owner": "shelf_owner", "roles": list(dsns)}
        for dsn in dsns.values():
            await (await asyncpg.connect(dsn, timeout=30)).close()
    lonely = await cellway("bootstrap", "roles", str(tmp_path / "shelf_reader"))
    assert (lonely.code, "_owner" in lonely.err) == (2, True)
    assert (await cellway("bootstrap", "roles", str(tmp_path / "nowhere"))).code == 2
    twice = await cellway(
        "bootstrap", "roles", str(tmp_path / "shelf_owner"), "--admin-dsn", postgres_server.admin_dsn
    )
    assert (twice.code, PASSWORD in twice.err) == (2, False)


async def test_a_cell_is_registered_again(
    cellway: Cellway, placement: Client, start_cell: StartCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --or-update what is said is changed; the operator's token comes from a file."""
    made = await start_cell()
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    monkeypatch.setenv("CELLWAY_PLACEMENT_URL", placement.url)
    monkeypatch.setenv("CELLWAY_OPERATOR_TOKEN_FILE", str(token))
    where = ("--region", made.region, "--address", made.url, "--control-address", made.url)
    register = ("cells", "register", "cell-1", *where, "--or-update", "--json")
    first = await cellway(*register, "--capacity", "10")
    assert (first.code, first.json["capacity_tenants"]) == (0, 10)
    again = await cellway(*register, "--capacity", "20")
    assert (again.code, again.json["capacity_tenants"], again.json["state"]) == (0, 20, "open")
    elsewhere = await cellway(*register, "--capacity", "20", "--region", "elsewhere")
    assert (elsewhere.code, "stays" in elsewhere.err) == (1, True)
    assert (await cellway("cells", "register", "cell-1", *where, "--capacity", "20")).code == 1
    token.unlink()
    assert (await cellway("cells", "list")).code == 2
