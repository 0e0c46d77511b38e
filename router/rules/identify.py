"""Which tenant a request is for. Pure.

Up to four sources name a tenant: the host name, the path (`/t/<tenant>/…`), a header, the API key. Every source
that is switched on and present must name the same one. If they differ the answer is the one for a tenant that does
not exist, so that nobody learns which tenants exist by trying names with a key of their own.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from directory.rules.names import NAME
from router.rules.head import RequestLike
from router.rules.strict import ABSOLUTE

_NAME: Final = re.compile(NAME.removesuffix("$").encode() + rb"\Z")
_KEY: Final = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +ck_([a-z0-9-]{2,40})_[A-Za-z0-9_-]{43}\Z")
PATH_PREFIX: Final = b"/t/"
LONGEST_NAME_BYTES: Final = 40


class Unidentified(Enum):
    """Why no tenant came out."""

    NO_KEY = "no API key came with the request, and one is needed"
    NO_TENANT = "nothing in the request names a tenant"
    NO_SUCH_TENANT = "what names a tenant disagrees, or cannot be a tenant's name"


@dataclass(frozen=True, slots=True)
class Sources:
    """What may name a tenant. `domains` and `tenant_header` are lower case."""

    domains: tuple[bytes, ...] = (b"api.localhost",)
    tenant_header: bytes = b"x-tenant"
    host: bool = True
    path: bool = True
    header: bool = True
    key: bool = True
    require_key: bool = True


class Identified(NamedTuple):
    """The tenant's name, and the request line's target as its cell is to see it.

    `host` is the authority that the client meant; `prefix` is what was taken off the path, if anything;
    `by_key` tells that the client showed a key, so an unknown tenant is answered like a wrong key.
    """

    tenant: bytes
    target: bytes
    host: bytes | None
    prefix: bytes | None
    by_key: bool


def identify(head: RequestLike, sources: Sources) -> Identified | Unidentified:
    """The tenant of a sound request."""
    named, target = head.named, head.target
    hosts = named.get(b"host")
    host = hosts[0] if hosts is not None else None
    if target[0] != 0x2F:
        host, target = _authority(host, target)
    key = _of_key(named.get(b"authorization"))
    if key is None and sources.require_key:
        return Unidentified.NO_KEY
    prefix = None
    tenant = key if sources.key else None
    if sources.path and target.startswith(PATH_PREFIX):
        prefix, target, name = _of_path(target)
        if tenant is not None and name != tenant:
            return Unidentified.NO_SUCH_TENANT
        tenant = name
    if sources.header and (given := named.get(sources.tenant_header)) is not None:
        if tenant is not None and given[0] != tenant:
            return Unidentified.NO_SUCH_TENANT
        tenant = given[0]
    if sources.host and host is not None and (name_of_host := _of_host(host, sources.domains)) is not None:
        if tenant is not None and name_of_host != tenant:
            return Unidentified.NO_SUCH_TENANT
        tenant = name_of_host
    if tenant is None:
        return Unidentified.NO_TENANT
    if not can_be_name(tenant):
        return Unidentified.NO_SUCH_TENANT
    return Identified(tenant, target, host, prefix, key is not None)


def can_be_name(tenant: bytes) -> bool:
    """Whether a tenant can be called so at all."""
    return len(tenant) <= LONGEST_NAME_BYTES and _can_be_name(tenant)


@functools.lru_cache(16_384)
def _can_be_name(tenant: bytes) -> bool:
    return _NAME.match(tenant) is not None


def _authority(host: bytes | None, target: bytes) -> tuple[bytes | None, bytes]:
    """The host that is meant, and the target in origin form: an absolute target outranks the header.

    RFC 9112 section 3.2.2 says so.
    """
    absolute = ABSOLUTE.match(target)
    if absolute is None:
        return host, target
    rest: bytes = absolute[2] or b"/"
    return absolute[1], rest if rest.startswith(b"/") else b"/" + rest


def _of_host(host: bytes, domains: tuple[bytes, ...]) -> bytes | None:
    if host.startswith(b"["):
        return None
    name = host.partition(b":")[0].removesuffix(b".").lower()
    for domain in domains:
        if name.endswith(b"." + domain):
            return name[: -len(domain) - 1]
    return None


def _of_path(target: bytes) -> tuple[bytes, bytes, bytes]:
    """(what is taken off, what stays, the tenant named). What stays is byte for byte what came."""
    end = len(PATH_PREFIX)
    while end < len(target) and target[end] not in b"/?":
        end += 1
    rest = target[end:]
    return target[:end], rest if rest.startswith(b"/") else b"/" + rest, target[len(PATH_PREFIX) : end]


def _of_key(given: Sequence[bytes] | None) -> bytes | None:
    match = _KEY.match(given[0]) if given is not None else None
    return match[1] if match is not None else None
