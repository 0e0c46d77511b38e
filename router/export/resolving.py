"""Cells' addresses as IP addresses. HAProxy gets no names: a resolver of its own would be one more to go wrong."""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from directory.errors import BadAddress
from directory.rules.addresses import check_encrypted, check_ip, check_origin
from directory.values import CellEntry
from router.export.plan import Server
from router.settings import RouterSettings
from runtime import logs

log = logs.get("router.export.resolving")
RESOLVE_SECONDS = 10.0
"""How often cells' names are resolved anew."""
ANSWER_SECONDS = 0.5
"""How long a name may take; then the cell keeps its last address, and is asked for again later."""


class Servers:
    """cell → server, as far as its address can be resolved; a name that fails once keeps its last address."""

    def __init__(self, settings: RouterSettings) -> None:
        self._by_name = bool(settings.cell_tls_folder)
        self._only = f"{settings.env_prefix}CELL_TLS_FOLDER" if self._by_name and settings.cell_tls_only else ""
        self._asked: dict[str, str] = {}
        self._asked_at = float("-inf")
        self.known: dict[str, Server] = {}
        self.version = 0
        """Grows at every change."""

    async def refresh(self, cells: Iterable[CellEntry]) -> None:
        """Resolve all addresses when any of them is new, and from time to time, because names change."""
        wanted = {cell.cell_id: cell.address for cell in cells}
        if wanted == self._asked and time.monotonic() - self._asked_at < RESOLVE_SECONDS:
            return
        self._asked, self._asked_at = wanted, time.monotonic()
        found = await asyncio.gather(*(self._resolved(cell, address) for cell, address in wanted.items()))
        now = {server.cell_id: server for server in found if server is not None}
        if now != self.known:
            self.known = now
            self.version += 1

    async def _resolved(self, cell_id: str, address: str) -> Server | None:
        try:
            # What waits for an answer here also keeps tenants' changes waiting.
            async with asyncio.timeout(ANSWER_SECONDS):
                if self._only:
                    check_encrypted(address, self._only)
                return await resolve(cell_id, address, by_name=self._by_name)
        except BadAddress as error:
            log.error("cell_address_refused", cell=cell_id, reason=str(error))
            return None
        except OSError as error:
            log.warning("cell_not_resolved", cell=cell_id, address=address, error=str(error))
            return self.known.get(cell_id)


async def resolve(cell_id: str, address: str, *, by_name: bool = False) -> Server:
    """The server at an address. BadAddress when it may not be connected to, OSError when the name is not known.

    `by_name`: its certificate must be for the cell, not for the host in its address.
    """
    parts = urlsplit(check_origin(address))
    host, tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # The lowest: an order that changes from time to time is no move.
        ip = min((ipaddress.ip_address(each[4][0]) for each in found), key=lambda ip: (ip.version, int(ip)))
    check_ip(ip)
    name = cell_id if by_name else host
    return Server(cell_id, str(ip), port, name if tls else None)
