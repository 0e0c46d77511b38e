"""Name resolution that refuses addresses which may not be connected to; used by whoever connects to cells."""

import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from directory.errors import BadAddress
from directory.rules.addresses import check_ip, check_origin


class CheckedResolver(AbstractResolver):
    """Checks what a name means at the moment of connecting. Literal addresses are checked by `check_origin`."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """OSError when the name means an address that may not be connected to."""
        try:
            found = await self._resolver.resolve(host, port, family)
        except UnicodeError as error:
            raise OSError(f"{host[:60]!r} is not a host name") from error
        for result in found:
            try:
                check_ip(ipaddress.ip_address(result["host"]))
            except BadAddress as error:
                raise OSError(f"{host}: {error}") from error
        return found

    async def close(self) -> None:
        await self._resolver.close()


def checked(origin: str) -> str:
    """The origin again, refused (BadAddress) when it is a literal address that may not be connected to."""
    return check_origin(origin)
