"""One platform a session, on ports that the system chose; everything is stopped afterwards."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from console.platform.platform import Platform
from console.platform.settings import SYSTEM_PORTS, UpSettings
from tests.end_to_end.actors import Operator

SHORT = {"LEASE_SECONDS": "4", "HINT_AGAIN_SECONDS": "2", "HEARTBEAT_SECONDS": "3", "SWEEP_SECONDS": "0.5"}
"""What is waited for when somebody died; half a minute otherwise."""


@pytest.fixture(scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """Three cells, a router, placement. Tests that kill a part wait until it is back."""
    root = tmp_path_factory.mktemp("platform") / ".cellway"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SHORT.items():
            patch.setenv(f"CELLWAY_CELL_{name}", value)
        async with Platform(root, 3, UpSettings(**SYSTEM_PORTS)) as running:
            yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client with no limit of its own."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as found:
        yield found


@pytest.fixture
def operator(platform: Platform, session: aiohttp.ClientSession) -> Operator:
    """Whoever runs the platform."""
    return Operator(session, platform)
