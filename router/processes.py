"""Several router processes on one port.

The kernel spreads connections over all that listen with SO_REUSEPORT. Each child holds a table of its own; only
the first writes it to disk.
"""

import socket
from collections.abc import Awaitable, Callable

from directory.redis_feed import RedisFeed
from router.app import Router
from router.settings import RouterSettings
from runtime.errors import StartFailed
from runtime.lifecycle import Lifecycle
from runtime.processes import Child, Children, end_with_parent, parent_of


def child(number: int) -> Callable[[RouterSettings], Awaitable[Lifecycle]]:
    """Builds process `number` of several."""

    async def build(settings: RouterSettings) -> Lifecycle:
        feed = RedisFeed(settings.directory_redis_url.get_secret_value())
        lifecycle = Router(settings, feed, shares_port=True, writes_disk=number == 0).lifecycle()
        end_with_parent(lifecycle)
        return lifecycle

    return build


def parent(count: int) -> Callable[[RouterSettings], Awaitable[Lifecycle]]:
    """Builds the parent of `count` processes."""

    async def build(settings: RouterSettings) -> Lifecycle:
        port = SharedPort(settings)
        return parent_of(Children(count, port.child, port.reserve), settings.drain_seconds)

    return build


class SharedPort:
    """Reserved by the parent, so that all children get the same one."""

    def __init__(self, settings: RouterSettings) -> None:
        self._settings = settings
        self._held: socket.socket | None = None

    def reserve(self) -> None:
        """StartFailed when somebody else has it. Held until the process ends."""
        host, port = self._settings.host, self._settings.port
        held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((host, port))
        except OSError as error:
            held.close()
            message = f"router cannot listen on {host}:{port}: {error.strerror or error}"
            raise StartFailed(f"{message}; free the port, or set PORT") from error
        self._held = held

    def child(self, number: int) -> Child:
        """Process `number`."""
        prefix, admin = self._settings.env_prefix, self._settings.admin_port
        port = self._held.getsockname()[1] if self._held is not None else self._settings.port
        own = {f"{prefix}PORT": str(port), f"{prefix}ADMIN_PORT": str(admin + number if admin else 0)}
        return Child(("-m", "router", "--process", str(number)), own)
