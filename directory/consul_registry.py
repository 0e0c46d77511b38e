"""The registry in Consul: one service an instance, named `cellway-<program>`, with two TTL checks.

`beat` passes while the process says that it lives: it decides who is seen, and Consul drops an instance for which
it has been critical for a minute. `ready` passes while the process is ready, so that Consul's DNS sends nobody to
one that is not.

Each beat says how both are. To register anew would not do: Consul lets a check that it knows keep its state, which
is critical after an agent was restarted, or the process frozen. An agent that forgot everything is told anew.
"""

from collections.abc import Sequence
from typing import Any

from directory.consul_agent import Agent
from directory.consul_watch import Watch
from directory.errors import Unavailable
from directory.registry import LIVES_SECONDS, MOST_SUSPECTS, Instance, Sightings
from directory.rules.watching import WAIT_SECONDS

FORGET_AFTER = "60s"  # Consul's minimum
MOST_TROUBLE = 500
OWN = ("admin_port", "suspects")


class ConsulRegistry:
    """`Registry` over the Consul agent at `url` (http://host:port), with an ACL token when one is needed."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url, self._token = url, token
        self._agent = Agent(url, token, "consul registry")
        self._registered: dict[str, Instance] = {}
        """As the agent was told last."""

    async def announce(self, instance: Instance) -> None:
        if self._registered.get(instance.instance_id) == instance:
            try:
                await self._beat(instance)
            except Unavailable:
                # It may not know these checks any more, and says so by 404 or 500.
                del self._registered[instance.instance_id]
            else:
                return
        await self._agent.write("/v1/agent/service/register", _registration(instance))
        await self._beat(instance)
        self._registered[instance.instance_id] = instance

    async def _beat(self, instance: Instance) -> None:
        for name, passes in (("beat", True), ("ready", not instance.trouble)):
            said = {"Status": _status(passes)}
            if (
                await self._agent.write(f"/v1/agent/check/update/{name}:{instance.instance_id}", said)
            ).body is None:
                raise Unavailable("Consul knows no such check")

    async def withdraw(self, instance: Instance) -> None:
        self._registered.pop(instance.instance_id, None)
        await self._agent.write(f"/v1/agent/service/deregister/{instance.instance_id}")

    async def instances(self, service: str) -> Sequence[Instance]:
        return _seen(service, (await self._agent.read(_path(service))).body)

    def watch(self, service: str) -> Sightings:
        return _Watching(Agent(self._url, self._token, f"consul watch {service}"), service)

    async def close(self) -> None:
        self._agent.close()


class _Watching:
    """`Sightings` by blocking queries, on a connection of their own."""

    def __init__(self, agent: Agent, service: str) -> None:
        self._agent, self._service = agent, service
        self._watch = Watch(agent, _path(service))

    async def next(self, seconds: float) -> Sequence[Instance]:
        return _seen(self._service, await self._watch.next(min(seconds, WAIT_SECONDS)))

    async def close(self) -> None:
        self._agent.close()


def _status(passes: bool) -> str:
    return "passing" if passes else "critical"


def _path(service: str) -> str:
    return f"/v1/health/service/cellway-{service}"


def _registration(instance: Instance) -> dict[str, Any]:
    own = {"admin_port": str(instance.admin_port), "suspects": " ".join(instance.suspects[:MOST_SUSPECTS])}
    ttl = f"{LIVES_SECONDS}s"
    beat = {
        "CheckID": f"beat:{instance.instance_id}",
        "Name": "the process says that it lives",
        "TTL": ttl,
        "Status": _status(True),
        "DeregisterCriticalServiceAfter": FORGET_AFTER,
    }
    ready = {
        "CheckID": f"ready:{instance.instance_id}",
        "Name": "the process is ready",
        "TTL": ttl,
        "Status": _status(not instance.trouble),
        "Notes": instance.trouble[:MOST_TROUBLE],
    }
    return {
        "ID": instance.instance_id,
        "Name": f"cellway-{instance.service}",
        "Address": instance.host,
        "Port": instance.port,
        "Meta": {**instance.about, **own},
        "Checks": [beat, ready],
    }


def _seen(service: str, entries: list[dict[str, Any]] | None) -> list[Instance]:
    """Those of whom everything passes but whether they are ready: the beat, and the health of their machine."""
    alive = (entry for entry in entries or () if all(_passes(check) for check in entry["Checks"]))
    return sorted((_instance(service, entry) for entry in alive), key=lambda instance: instance.instance_id)


def _passes(check: dict[str, Any]) -> bool:
    return check["Status"] == "passing" or _says_ready(check)


def _says_ready(check: dict[str, Any]) -> bool:
    return str(check["CheckID"]).startswith("ready:")


def _instance(service: str, entry: dict[str, Any]) -> Instance:
    known, meta = entry["Service"], dict(entry["Service"]["Meta"] or {})
    unready = (check for check in entry["Checks"] if _says_ready(check) and check["Status"] != "passing")
    trouble = next((check["Notes"] or "overdue" for check in unready), "")
    about = {name: value for name, value in meta.items() if name not in OWN}
    suspects = tuple(meta.get("suspects", "").split())
    place = known["Address"], known["Port"], int(meta["admin_port"])
    return Instance(service, known["ID"], *place, about, trouble, suspects)
