"""Fleets of both kinds."""

from collections.abc import AsyncIterator

import pytest

from tests.directory.planning import memory_office, postgres_office
from tests.placement.planning.world import World
from tests.servers import new_control_database


@pytest.fixture(params=["memory", "postgres"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Three open cells for twenty tenants each, without a tenant."""
    if request.param == "memory":
        made = World(await memory_office())
        await made.office.stage.prepare(capacity_tenants=20)
        yield made
        return
    async with postgres_office(await new_control_database(request.getfixturevalue("postgres_server"))) as office:
        made = World(office)
        await office.stage.prepare(capacity_tenants=20)
        yield made


@pytest.fixture
async def small() -> World:
    """The same in memory, where time passes when told to."""
    made = World(await memory_office())
    await made.office.stage.prepare(capacity_tenants=20)
    return made
