"""What is said about the way a request came, and what it is called: Via, X-Forwarded-*, ids, traces."""

import re

import pytest

from tests.router.bytes.messages import request
from tests.router.bytes.wire import Wire, wired

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FRESH_TRACE = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")


@pytest.mark.parametrize(
    "line",
    [
        b"X-Forwarded-For: 10.0.0.1", b"x-forwarded-for: 10.0.0.1, 10.0.0.2", b"X-Forwarded-Proto: gopher",
        b"X-Forwarded-Host: beta.api.localhost", b"X-Forwarded-Port: 9443", b"X-Forwarded-Prefix: /t/beta",
        b"X-Forwarded-Tls-Client-Cert: forged", b"X-Real-IP: 10.0.0.1", b"Forwarded: for=10.0.0.1;proto=gopher",
    ],
)  # fmt: skip
async def test_an_untrusted_client_is_not_believed_about_the_way(wire: Wire, line: bytes) -> None:
    """The cell gets what the router saw, and nothing of what was forged."""
    seen = await wire.forwarded(request(line, line))
    assert line.partition(b": ")[2] not in seen.head
    assert seen.values(b"x-forwarded-for") == [b"127.0.0.1"]
    assert seen.values(b"x-forwarded-proto") == [b"http"]
    assert seen.values(b"x-forwarded-host") == [b"acme.api.localhost"]
    assert seen.values(b"forwarded") == [b'for=127.0.0.1;host="acme.api.localhost";proto=http']
    assert not seen.values(b"x-forwarded-prefix")
    assert not seen.values(b"x-real-ip")


async def test_a_trusted_proxy_is_believed_and_added_to() -> None:
    """Its part stays, ours comes last; a forged tenant stays out all the same."""
    async with wired(trusted_proxies="127.0.0.0/8") as wire:
        seen = await wire.forwarded(
            request(b"X-Forwarded-For: 10.0.0.1", b"X-Forwarded-Proto: https", b"Cellway-Tenant: beta")
        )
    assert seen.values(b"x-forwarded-for") == [b"10.0.0.1, 127.0.0.1"]
    assert seen.values(b"x-forwarded-proto") == [b"https"]
    assert seen.values(b"cellway-tenant") == [b"acme"]


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_via_names_the_version_that_came(wire: Wire, version: bytes) -> None:
    """RFC 9110 section 7.6.3; stations before stay, in order."""
    seen = await wire.forwarded(request(b"Via: 1.0 first, 1.1 second (x)", line=b"GET /x HTTP/" + version))
    *before, own = seen.values(b"via")
    assert before == [b"1.0 first, 1.1 second (x)"]
    assert own.startswith(version + b" cellway")


@pytest.mark.parametrize("ident", [b"abc-123", b"A.b_c:d/e+f=@", b"0", b"a" * 128])
async def test_a_request_id_is_kept_and_told_to_both_sides(wire: Wire, ident: bytes) -> None:
    """When there is one and it is well-formed."""
    answers = await wire.exchange(request(b"X-Request-ID: " + ident))
    assert wire.cell.seen[0].values(b"x-request-id") == [ident]
    assert answers.final.values(b"x-request-id") == [ident]


@pytest.mark.parametrize(
    "lines",
    [
        [], [b"X-Request-Id:"], [b"X-Request-Id: a b"], [b'X-Request-Id: a"b'], [b"X-Request-Id: a,b"],
        [b"X-Request-Id: caf\xe9"], [b"X-Request-Id: " + b"a" * 129], [b"X-Request-Id: a", b"X-Request-Id: b"],
        [b"X-Request-Id: a", b"x-request-id: a"], [b"X-Request-Id: <script>"], [b"X-Request-Id: a;b"],
    ],
)  # fmt: skip
async def test_what_is_no_request_id_is_replaced(wire: Wire, lines: list[bytes]) -> None:
    """By a fresh one, the same on both sides."""
    answers = await wire.exchange(request(*lines))
    [ident] = wire.cell.seen[0].values(b"x-request-id")
    assert re.fullmatch(rb"[A-Za-z0-9._:/+=@-]{16,128}", ident)
    assert ident not in (b"a", b"b")
    assert answers.final.values(b"x-request-id") == [ident]
    await wire.exchange(request(*lines))
    assert wire.cell.seen[0].values(b"x-request-id") != [ident]


@pytest.mark.parametrize("version", [b"00-", b"cc-"])
@pytest.mark.parametrize("flags", [b"-00", b"-01", b"-ff"])
async def test_a_valid_trace_passes_untouched(wire: Wire, version: bytes, flags: bytes) -> None:
    """W3C Trace Context: one line, with its state; a later version is read like this one."""
    trace = version + TRACE[3:-3] + flags
    seen = await wire.forwarded(request(b"traceparent: " + trace, b"tracestate: a=1,b=2"))
    assert seen.values(b"traceparent") == [trace]
    assert seen.values(b"tracestate") == [b"a=1,b=2"]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"traceparent:"],
        [b"traceparent: " + TRACE.upper()],
        [b"traceparent: " + TRACE[:-1]],
        [b"traceparent: " + TRACE + b"-00"],
        [b"traceparent: " + TRACE + b"x"],
        [b"traceparent: " + TRACE.replace(b"-", b"_")],
        [b"traceparent: ff" + TRACE[2:]],
        [b"traceparent: 0" + TRACE[2:]],
        [b"traceparent: 00-" + b"0" * 32 + TRACE[35:]],
        [b"traceparent: " + TRACE[:36] + b"0" * 16 + TRACE[-3:]],
        [b"traceparent: " + TRACE.replace(b"a", b"g")],
        [b"traceparent: " + TRACE + b", " + TRACE],
        [b"traceparent: \xe9" + TRACE[1:]],
        [b"traceparent: " + TRACE, b"traceparent: " + TRACE],
        [b"traceparent: " + TRACE, b"Traceparent: 00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-00"],
    ],
)
async def test_what_is_no_trace_is_replaced_by_a_fresh_one(wire: Wire, lines: list[bytes]) -> None:
    """Its state is dropped with it: that belonged to the trace that was not understood."""
    seen = await wire.forwarded(request(*lines, b"tracestate: a=1"))
    [fresh] = seen.values(b"traceparent")
    assert FRESH_TRACE.match(fresh)
    assert fresh != TRACE
    assert not seen.values(b"tracestate")
    again = await wire.forwarded(request(*lines))
    assert again.values(b"traceparent") != [fresh]
