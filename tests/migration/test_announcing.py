"""A mover is seen by the registry, with its admin page and whether it is ready."""

from pathlib import Path

import aiohttp
import pytest

from directory.announcing import open_registry
from directory.registry import Instance
from migration.app import assemble
from migration.settings import MigrationSettings
from tests.consuls import ConsulServer
from tests.servers import ControlDatabase
from tests.waiting import eventually


@pytest.mark.parametrize("kind", ["redis", "consul"])
async def test_a_mover_is_seen_while_it_runs(
    kind: str, request: pytest.FixtureRequest, control_database: ControlDatabase, redis_url: str, tmp_path: Path
) -> None:
    """At the address of its admin page; it withdraws when it ends."""
    told = {"DIRECTORY_DSN": control_database.mover_dsn, "CELLS_PATH": str(tmp_path)}
    consul_url = None
    if kind == "redis":
        told["DIRECTORY_REDIS_URL"] = redis_url
    else:
        server: ConsulServer = request.getfixturevalue("consul_server")
        await server.ready()
        consul_url = told["CONSUL_URL"] = server.url
    program = await assemble(
        MigrationSettings.load({f"CELLWAY_MIGRATION_{name}": value for name, value in told.items()})
    )
    registry = open_registry(redis_url, consul_url, None)
    await program.lifecycle.start()

    async def ready() -> Instance | None:
        found = await registry.instances("mover")
        return next((instance for instance in found if not instance.trouble), None)

    seen = await eventually(ready)
    assert seen is not None
    assert f"http://{seen.host}:{seen.admin_port}" == program.admin_site.url
    async with aiohttp.ClientSession() as client, client.get(f"{program.admin_site.url}/health/ready") as answer:
        assert answer.status == 200

    async def unready() -> str:
        found = await registry.instances("mover")
        return found[0].trouble if found else ""

    program.lifecycle.health.draining = True
    assert "draining" in str(await eventually(unready))
    await program.lifecycle.stop()

    async def gone() -> bool:
        return not await registry.instances("mover")

    await eventually(gone)
    await registry.close()


async def test_a_mover_that_nobody_is_to_see_runs_all_the_same(
    control_database: ControlDatabase, tmp_path: Path
) -> None:
    """Without Redis and Consul it only has no part that announces it."""
    told = {"DIRECTORY_DSN": control_database.mover_dsn, "CELLS_PATH": str(tmp_path)}
    program = await assemble(
        MigrationSettings.load({f"CELLWAY_MIGRATION_{name}": value for name, value in told.items()})
    )
    await program.lifecycle.start()
    async with aiohttp.ClientSession() as client, client.get(f"{program.admin_site.url}/health/ready") as answer:
        assert answer.status == 200
    await program.lifecycle.stop()
