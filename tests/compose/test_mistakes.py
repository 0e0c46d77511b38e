"""A stack with a mistake in it does not stand: each kind is planted once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.compose.reading import of, whole, with_one
from tests.compose.stage import secrets as secrets
from tests.compose.standing import DidNotStand, Machine

pytestmark = pytest.mark.stack
NEEDED = {"directory-redis", "router-1"}
SECONDS = 12.0
"""For a mistake after which nothing ends, but nothing gets healthy either."""


def _environment(**changed: str | None) -> Mapping[str, Any]:
    told = {**whole("compose.yaml")["services"]["router-1"]["environment"], **changed}
    return {"environment": {name: value for name, value in told.items() if value is not None}}


REDIS_URL = "CELLWAY_ROUTER_DIRECTORY_REDIS_URL"
MISTAKES: dict[str, tuple[Mapping[str, Any], str]] = {
    "a variable misspelt": (
        _environment(**{f"{REDIS_URL}_FILE": None, f"{REDIS_URL}S_FILE": "/run/secrets/router-redis-url"}),
        "unknown setting CELLWAY_ROUTER_DIRECTORY_REDIS_URLS_FILE",
    ),
    "a variable forgotten": (_environment(**{f"{REDIS_URL}_FILE": None}), f"{REDIS_URL}: Field required"),
    "a variable of the wrong kind": (_environment(CELLWAY_ROUTER_ADMIN_PORT="admin"), "CELLWAY_ROUTER_ADMIN_PORT"),
    "a secret that is not mounted": ({"secrets": []}, "cannot read /run/secrets/router-redis-url"),
    "a command that is not there": ({"command": ["python", "-m", "rooter"]}, "No module named rooter"),
    "another port than its health check asks": (_environment(CELLWAY_ROUTER_ADMIN_PORT="8092"), "router-1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_does_not_stand(secrets: Path, mistake: str) -> None:
    """And the reason is in what is told."""
    changed, said = MISTAKES[mistake]
    found = of(with_one(whole("compose.yaml"), "router-1", **changed))
    machine = Machine(found, secrets)
    try:
        with pytest.raises(DidNotStand) as refused:
            machine.up(without=[name for name in found.services if name not in NEEDED], seconds=SECONDS)
    finally:
        machine.down()
    assert said in str(refused.value)
