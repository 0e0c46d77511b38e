"""`cellway adopt`, as people and scripts see it; what it does is tested in `tests/migration`."""

import json
from pathlib import Path

import pytest

from runtime.embedded.postgres import PostgresServer
from tests.console.conftest import Cellway
from tests.migration.shops import new_shop
from tests.servers import PASSWORD


@pytest.fixture(autouse=True)
def these_sources(monkeypatch: pytest.MonkeyPatch, project_root: Path) -> None:
    """The command runs a program, from an empty folder: it is to be the one that is under test."""
    monkeypatch.setenv("PYTHONPATH", str(project_root))


async def test_a_database_is_shown_adopted_and_let_go(
    cellway: Cellway, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """What would be run, what was done, and where movers look for it; never the password that was given."""
    shop = await new_shop(postgres_server)
    adopt = ("adopt", shop.admin_dsn, "--tenant-column", "customer_id", "--mover", shop.mover)
    looked = await cellway(*adopt)
    assert looked.code == 0, looked
    assert "SELECT cellway.adopt_table('public.orders'::regclass, 'customer_id');" in looked.out
    assert "Nothing was changed." in looked.out
    applied = await cellway(*adopt, "--apply", "--cell", "shop-a", "--cells-path", str(tmp_path / "cells"))
    assert applied.code == 0, applied
    assert f"Movers find it in {tmp_path / 'cells' / 'shop-a'}." in applied.out
    assert (tmp_path / "cells" / "shop-a").stat().st_mode & 0o777 == 0o600
    removed = await cellway("adopt", shop.admin_dsn, "--mover", shop.mover, "--remove", "--json")
    assert (removed.code, f"role {shop.mover} was removed" in removed.json["done"]) == (0, True)
    assert PASSWORD not in looked.out + applied.out + removed.out + applied.err


async def test_what_is_in_the_way_ends_it(cellway: Cellway, postgres_server: PostgresServer) -> None:
    """With exit code 1, and what is known all the same."""
    shop = await new_shop(postgres_server, mended=False)
    ran = await cellway("adopt", shop.admin_dsn, "--tenant-column", "customer_id", "--apply")
    assert (ran.code, "✗ public.order_lines" in ran.out) == (1, True)


async def test_what_was_mistyped_is_told(cellway: Cellway, tmp_path: Path) -> None:
    """With the exit code of a wrong usage, or of a database that is away; and never with its password."""
    away = "postgresql://admin:hidden@127.0.0.1:1/shop"
    epochs = tmp_path / "epochs.json"
    epochs.write_text(json.dumps({"acme": 0}))
    for options in (("--column", "orders"), ("--force",), ("--epochs", str(epochs)), ("--apply", "--remove")):
        assert (await cellway("adopt", away, *options)).code == 2
    assert (await cellway("adopt", "nonsense")).code == 2
    ran = await cellway("adopt", away)
    assert (ran.code, "hidden" in ran.err, "127.0.0.1:1/shop" in ran.err) == (3, False, True)
