"""The smallest program: an admin port, and settings. Run by `test_program` as a process of its own."""

import sys
from typing import ClassVar

from runtime import admin, program
from runtime.health import Health
from runtime.lifecycle import Lifecycle
from runtime.settings import Port, SecretStr, Settings
from runtime.site import Site


class ExampleSettings(Settings):
    """What the example can be told."""

    env_prefix: ClassVar[str] = "CELLWAY_EXAMPLE_"
    admin_port: Port
    key: SecretStr = SecretStr("")


async def build(settings: ExampleSettings) -> Lifecycle:
    """One part."""
    health = Health()
    lifecycle = Lifecycle(health)
    site = Site(
        "admin", admin.application(health, settings), "127.0.0.1", settings.admin_port, setting="ADMIN_PORT"
    )
    lifecycle.add(site.part())
    return lifecycle


if __name__ == "__main__":
    sys.exit(program.main("example", ExampleSettings, build))
