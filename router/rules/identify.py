"""Which tenant a request is for. Pure.

Up to four sources name a tenant: the host name, the path (`/t/<tenant>/…`), a header, the API key. Every source
that is switched on and present must name the same one. If they differ the answer is the one for a tenant that does
not exist, so that nobody learns which tenants exist by trying names with a key of their own.
"""

import re
from dataclasses import dataclass
from enum import Enum

from directory.rules.names import NAME
from router.rules.head import RequestHead
from router.rules.strict import ABSOLUTE

_NAME = re.compile(NAME.removesuffix("$").encode() + rb"\Z")
_KEY = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +ck_([a-z0-9-]{2,40})_[A-Za-z0-9_-]{43} *\Z")
PATH_PREFIX = b"/t/"


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


@dataclass(frozen=True, slots=True)
class Identified:
    """The tenant's name, and the request line's target as its cell is to see it.

    `host` is the authority that the client meant; `prefix` is what was taken off the path, if anything;
    `by_key` tells that the client showed a key, so an unknown tenant is answered like a wrong key.
    """

    tenant: str
    target: bytes
    host: bytes | None
    prefix: bytes | None
    by_key: bool


def identify(head: RequestHead, sources: Sources) -> Identified | Unidentified:
    """The tenant of a sound request."""
    host, target = _authority(head)
    key = _of_key(head)
    if sources.require_key and key is None:
        return Unidentified.NO_KEY
    prefix, rest, of_path = _of_path(target) if sources.path else (None, target, None)
    named = [
        name
        for on, name in (
            (sources.host, _of_host(host, sources.domains)),
            (sources.path, of_path),
            (sources.header, next(iter(head.values(sources.tenant_header)), None)),
            (sources.key, key),
        )
        if on and name is not None
    ]
    if not named:
        return Unidentified.NO_TENANT
    if any(name != named[0] for name in named) or not _NAME.match(named[0]):
        return Unidentified.NO_SUCH_TENANT
    return Identified(named[0].decode(), rest, host, prefix, by_key=key is not None)


def _authority(head: RequestHead) -> tuple[bytes | None, bytes]:
    """The host that is meant, and the target in origin form: an absolute target outranks the header.

    RFC 9112 section 3.2.2 says so.
    """
    absolute = ABSOLUTE.match(head.target)
    if absolute is None:
        return next(iter(head.values(b"host")), None), head.target
    rest: bytes = absolute[2] or b"/"
    return absolute[1], rest if rest.startswith(b"/") else b"/" + rest


def _of_host(host: bytes | None, domains: tuple[bytes, ...]) -> bytes | None:
    if host is None or host.startswith(b"["):
        return None
    name = host.partition(b":")[0].removesuffix(b".").lower()
    for domain in domains:
        if name.endswith(b"." + domain):
            return name[: -len(domain) - 1]
    return None


def _of_path(target: bytes) -> tuple[bytes | None, bytes, bytes | None]:
    """(what is taken off, what stays, the tenant named). What stays is byte for byte what came."""
    if not target.startswith(PATH_PREFIX):
        return None, target, None
    end = len(PATH_PREFIX)
    while end < len(target) and target[end] not in b"/?":
        end += 1
    rest = target[end:]
    return target[:end], rest if rest.startswith(b"/") else b"/" + rest, target[len(PATH_PREFIX) : end]


def _of_key(head: RequestHead) -> bytes | None:
    for value in head.values(b"authorization"):
        match = _KEY.match(value)
        if match:
            tenant: bytes = match[1]
            return tenant
    return None
