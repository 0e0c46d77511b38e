"""Whatever a client sends: what reaches a cell is read alike by everybody, and was sent for that tenant."""

import re
from collections.abc import Iterator, Sequence
from typing import cast

from hypothesis import HealthCheck, example, given, note, settings
from hypothesis import strategies as st

from tests.router.bytes.messages import AUTH, CHUNKED, OTHER_KEY, SMUGGLED, post, request
from tests.router.bytes.mutations import REQUEST_LINES, REQUESTS, cut, mutated
from tests.router.bytes.views import Message, request_by_aiohttp, requests
from tests.router.bytes.wire import Forwarded, Wire

HOST = re.compile(rb"(?i)(.*)\.api\.localhost\.?(?::[0-9]*)?\Z")
"""A host under the router's domain: what merely begins with one (`acme.api.localhost0`) is somebody else's."""
KEY = re.compile(rb"(?i)bearer +ck_([a-z0-9-]+)_")
ABSOLUTE = re.compile(rb"(?i)https?://([^/?]*)")
PREFIX = re.compile(rb"/t/([^/?]*)")
IDEMPOTENT = frozenset({b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"})
EXAMPLES = 600


def tenants_named(message: Message, host: bytes | None, prefix: bytes | None) -> set[bytes]:
    """Every tenant that something in a request names, as h11 reads it."""
    named = set(message.values(b"x-tenant"))
    named |= {found[1] for value in message.values(b"authorization") if (found := KEY.match(value))}
    if host is not None and (found := HOST.match(host)):
        named.add(found[1].lower())
    return named | ({prefix} if prefix is not None else set())


def tenants_sent(message: Message) -> set[bytes]:
    """The same for what a client sent: the authority may be in its target, and the path may name a tenant."""
    authority, path = _target(message)
    prefix = PREFIX.match(path)
    hosts = message.values(b"host")
    host = authority if authority is not None else hosts[0] if hosts else None
    return tenants_named(message, host, prefix and prefix[1])


def _target(message: Message) -> tuple[bytes | None, bytes]:
    target = cast(bytes, message.start[1])
    absolute = ABSOLUTE.match(target)
    return (absolute[1], target[absolute.end() :]) if absolute else (None, target)


def agreed(came: Forwarded) -> None:
    """h11 and aiohttp read the same request, for no tenant but the one that is said, once."""
    assert request_by_aiohttp(came.wire).read == came.message.read
    [tenant] = came.values(b"cellway-tenant")
    [host] = came.values(b"host")
    prefix = b"".join(came.values(b"x-forwarded-prefix")).removeprefix(b"/t/") or None
    assert tenants_named(came.message, host, prefix) <= {tenant}
    assert came.values(b"cellway-epoch") == [{b"acme": b"5", b"beta": b"7"}[tenant]]
    assert [len(came.values(name)) for name in (b"x-request-id", b"x-forwarded-for")] == [1, 1]
    assert len(came.values(b"content-length")) + len(came.values(b"transfer-encoding")) <= 1


def meant(message: Message) -> tuple[object, ...]:
    """What must be the same on both sides: method, path, body, and lines that are not for one connection."""
    path = PREFIX.sub(b"", _target(message)[1])
    options = {word.strip().lower() for line in message.values(b"connection") for word in line.split(b",")}
    kept = {name: message.values(name) for name in (b"cookie", b"authorization", b"x-tenant", b"x")}
    lines = [[] if name in options else values for name, values in kept.items()]
    return message.start[0], path if path.startswith(b"/") else b"/" + path, message.body, lines


def without_repeats(came: Sequence[Forwarded], *, disowned: bool) -> Iterator[Forwarded]:
    """An idempotent request without a body may come once more, byte for byte, when the cell broke it off.

    `disowned`: the cell says that tenants are not its own, after which any may come again, and that repeatedly.
    """
    last: bytes | None = None
    for each in came:
        if each.wire == last and disowned:
            continue
        if each.wire == last and each.method in IDEMPOTENT and not each.body:
            last = None
        else:
            last = each.wire
            yield each


def accounted(sent: Sequence[Message], came: Sequence[Forwarded], *, disowned: bool = False) -> None:
    """Each that came was sent, in this order, for the tenant that was named there."""
    remaining = iter(sent)
    for each in without_repeats(came, disowned=disowned):
        agreed(each)
        tenants, meaning = set(each.values(b"cellway-tenant")), meant(each.message)
        # What was refused, because nobody knows for whom it is, may mean the same but for that.
        assert any(tenants_sent(message) == tenants and meant(message) == meaning for message in remaining), each


async def judge(wire: Wire, pieces: list[bytes]) -> None:
    """Send the pieces on one connection, then judge what came to the cell."""
    wire.cell.forget()
    async with wire.speaking() as speaker:
        await speaker.send(pieces)
        await speaker.until_quiet(wire.cell)
    await wire.settled()
    assert not wire.cell.faults
    accounted(requests(b"".join(pieces)), wire.cell.seen)


HIDDEN = b"0\r\n\r\n" + SMUGGLED


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@example(post(b"Content-Length: %d" % len(HIDDEN), CHUNKED, body=HIDDEN), [])
@example(request(b"X-Tenant: beta") + request(), [])
@example(request().replace(AUTH, b"Authorization: Bearer " + OTHER_KEY), [])
@given(mutated(REQUESTS, REQUEST_LINES), st.lists(st.integers(0, 2**12), max_size=4))
async def test_what_reaches_a_cell_is_read_alike_by_everybody(wire: Wire, data: bytes, offsets: list[int]) -> None:
    """By h11 and by aiohttp; no more requests than h11 sees in what was sent, in order, for whom they named."""
    note(repr(cut(data, offsets)))
    await judge(wire, cut(data, offsets))


async def test_a_host_that_only_looks_like_a_tenants_names_nobody(wire: Wire) -> None:
    """Neither to the router nor to these tests: what is behind the domain makes it another."""
    for host in (b"Host: beta.api.localhost0", b"Host: beta.api.localhost.example", b"Host: betaapi.localhost"):
        seen = await wire.forwarded(request(host=host))
        agreed(seen)
        assert seen.values(b"cellway-tenant") == [b"acme"]
    for host in (b"BETA.api.localhost", b"beta.api.localhost.", b"beta.api.localhost:80"):
        assert tenants_named(Message((), ()), host, None) == {b"beta"}
