"""Who is running: the processes that the registry sees."""

from collections.abc import Mapping

from pydantic import Field

from directory.registry import SERVICES, Instance, Registry
from runtime.api.endpoint import Call, Endpoint, Output, Reply


class RunningInstance(Output):
    """One process. `about` holds short facts, such as the cell that it belongs to."""

    service: str
    instance_id: str
    host: str
    port: int
    admin_port: int
    about: Mapping[str, str]
    trouble: str = Field(description="why it is not ready; empty when it is")
    suspects: list[str] = Field(description="cells that it gets no answers from just now")


class InstanceList(Output):
    """All that are seen now; a process that has fallen silent disappears after some seconds."""

    instances: list[RunningInstance]


class InstanceHandlers:
    """The handler."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def endpoints(self) -> list[Endpoint[None]]:
        """One."""
        return [
            Endpoint(
                "GET", "/v1/instances", self.listed, "List the processes that the registry sees", "listInstances",
                {200: InstanceList}, tag="instances",
            )
        ]  # fmt: skip

    async def listed(self, _call: Call[None]) -> Reply:
        """By service, then by identifier."""
        found: list[Instance] = []
        for service in SERVICES:
            found += await self._registry.instances(service)
        return Reply(body=InstanceList(instances=[_shown(instance) for instance in found]))


def _shown(instance: Instance) -> RunningInstance:
    return RunningInstance(
        service=instance.service,
        instance_id=instance.instance_id,
        host=instance.host,
        port=instance.port,
        admin_port=instance.admin_port,
        about=instance.about,
        trouble=instance.trouble,
        suspects=list(instance.suspects),
    )
