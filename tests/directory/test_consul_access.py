"""The policies in the documentation are enough, and none of them allows what the others are for."""

import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from directory.consul_leadership import ConsulLeadership
from directory.consul_pointer import ConsulPointer
from directory.consul_registry import ConsulRegistry
from directory.errors import Unavailable
from directory.pointer import Position
from directory.registry import Instance
from tests.consuls import ConsulServer
from tests.waiting import eventually

MASTER = secrets.token_hex(16)
CLOSED = f"""
acl {{
  enabled = true
  default_policy = "deny"
  tokens {{ master = "{MASTER}" }}
}}
"""
ROUTER = Instance("router", "router-1", "127.0.0.1", 8080, 8082)
POSITION = Position("directory", 7)


def _policies(root: Path) -> list[str]:
    """Of cells, of routers and of placement, in this order."""
    text = (root / "docs" / "operations" / "consul.md").read_text(encoding="utf-8")
    return re.findall(r"```hcl\n(.*?)```", text, re.DOTALL)


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[ConsulServer]:
    """A Consul that lets nobody in without a token."""
    server = ConsulServer(tmp_path, more=CLOSED, token=MASTER).start()
    await server.ready()
    yield server
    server.kill()


async def _token(server: ConsulServer, rules: str) -> str:
    name = f"policy-{secrets.token_hex(4)}"
    assert await eventually(lambda: server.put("/v1/acl/policy", {"Name": name, "Rules": rules}))
    made = await server.put("/v1/acl/token", {"Policies": [{"Name": name}]})
    return str(made["SecretID"])


async def test_each_program_can_do_its_own_with_the_policy_that_is_documented(
    closed: ConsulServer, project_root: Path
) -> None:
    """Announce, watch, lead; a router's token takes no lock, and without one nothing goes."""
    announcing, routing, placing = [await _token(closed, rules) for rules in _policies(project_root)]
    router, placement = ConsulRegistry(closed.url, announcing), ConsulRegistry(closed.url, placing)
    await router.announce(ROUTER)

    async def seen() -> bool:
        return list(await placement.instances("router")) == [ROUTER]

    await eventually(seen)
    sightings = placement.watch("router")
    assert await sightings.next(5) == [ROUTER]
    leadership, stranger = ConsulLeadership(closed.url, placing), ConsulLeadership(closed.url, announcing)
    lock = await leadership.gain("placement", "one")
    assert lock is not None
    assert await leadership.keep(lock)
    await leadership.give_up(lock)
    assert await leadership.leader("placement") is None
    with pytest.raises(Unavailable, match="token"):
        await stranger.gain("placement", "other")
    pointer, reading, stranded = (ConsulPointer(closed.url, token) for token in (placing, routing, announcing))
    await pointer.put(POSITION)
    assert await reading.next(5) == POSITION
    with pytest.raises(Unavailable, match="token"):
        await reading.put(Position("directory", 8))
    with pytest.raises(Unavailable, match="token"):
        await stranded.next(5)
    nobody = ConsulRegistry(closed.url)
    with pytest.raises(Unavailable, match="token"):
        await nobody.announce(ROUTER)
    await router.withdraw(ROUTER)
    await sightings.close()
    for opened in (router, placement, leadership, stranger, nobody, pointer, reading, stranded):
        await opened.close()
