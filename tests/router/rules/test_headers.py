"""Which headers travel, and as which bytes."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules import headers as rules
from router.rules.head import Framing, RequestHead, ResponseHead, named
from router.rules.headers import Client
from router.rules.identify import Identified, Sources, identify
from router.rules.strict import request_fault, request_framing
from tests.router.rules.heads import head

FOUND = Identified("acme", b"/v1", b"acme.api.localhost:80", None, by_key=False)
SOMEBODY = Client(b"192.0.2.7")
PROXY = Client(b"192.0.2.7", trusted=True)


def passed(request_head: RequestHead, client: Client = SOMEBODY, found: Identified = FOUND) -> dict[bytes, bytes]:
    """What a cell gets: names in lower case; values of repeated ones joined by `|`."""
    result: dict[bytes, bytes] = {}
    for name, value in rules.for_cell(
        request_head, found, client, ident=b"id-1", epoch=7, tenant_header=b"x-tenant"
    ):
        lower = name.lower()
        result[lower] = result[lower] + b"|" + value if lower in result else value
    return result


OWN = {
    b"host": b"acme.api.localhost:80",
    b"x-forwarded-for": b"192.0.2.7",
    b"x-forwarded-proto": b"http",
    b"x-forwarded-host": b"acme.api.localhost:80",
    b"forwarded": b'for=192.0.2.7;host="acme.api.localhost:80";proto=http',
    b"via": b"1.1 cellway",
    b"x-request-id": b"id-1",
    b"cellway-tenant": b"acme",
    b"cellway-epoch": b"7",
}


def test_what_the_router_adds() -> None:
    """A cell learns who asked, by which way, for which tenant at which epoch."""
    assert passed(head()) == OWN


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Cellway-Tenant", b"beta"),
        (b"cellway-tenant", b"beta"),
        (b"Cellway_Tenant", b"beta"),
        (b"CELLWAY_EPOCH", b"9"),
        (b"Cellway-Anything", b"x"),
        (b"X_Tenant", b"beta"),
        (b"X_Request_Id", b"x"),
        (b"X_Forwarded_For", b"10.0.0.1"),
        (b"X_Forwarded_Anything", b"x"),
        (b"Content_Length", b"3"),
        (b"Transfer_Encoding", b"chunked"),
        (b"X-Forwarded-For", b"10.0.0.1"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Port", b"1"),
        (b"X-Forwarded-Prefix", b"/t/beta"),
        (b"X-Real-Ip", b"10.0.0.1"),
        (b"Forwarded", b"for=10.0.0.1"),
        (b"Connection", b"keep-alive"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Proxy-Connection", b"keep-alive"),
        (b"Proxy-Authorization", b"Basic x"),
        (b"TE", b"trailers"),
        (b"Trailer", b"X"),
        (b"Upgrade", b"websocket"),
        (b"HTTP2-Settings", b"x"),
        (b"Expect", b"100-continue"),
        (b"Content-Length", b"3"),
        (b"Transfer-Encoding", b"chunked"),
        (b"X-Request-Id", b"other"),
    ],
)
def test_what_a_client_must_not_pass_off_is_dropped(name: bytes, value: bytes) -> None:
    """Whether it would be mistaken for ours, belongs to this connection, or frames a body."""
    assert passed(head((name, value))) == OWN


@pytest.mark.parametrize(
    "header",
    [
        (b"X-Custom", b"caf\xe9 \xff"),
        (b"x_custom", b"1"),
        (b"X-Tenant", b"acme"),
        (b"Accept-Encoding", b"gzip"),
        (b"Authorization", b"Bearer x"),
        (b"Cookie", b"a=b; c=d"),
        (b"Via", b"1.0 other"),
        (b"X-Cellway-Like", b"1"),
    ],
)
def test_everything_else_travels_byte_for_byte(header: tuple[bytes, bytes]) -> None:
    """Names keep their case, values their bytes."""
    assert header in rules.for_cell(head(header), FOUND, SOMEBODY, ident=b"i", epoch=1)


def test_what_connection_names_stays_behind() -> None:
    """But ours cannot be removed by naming them there."""
    lines = ((b"Connection", b"close, X-Private"), (b"connection", b"Cellway-Tenant,, x-other ,X-Forwarded-For"))
    found = passed(head(*lines, (b"X-Private", b"1"), (b"X-Other", b"1"), (b"X-Kept", b"1")))
    assert found == {**OWN, b"x-kept": b"1"}


def test_a_trusted_proxy_is_believed_and_added_to() -> None:
    """Its word about the way stays; our part comes at the end."""
    lines = (
        (b"X-Forwarded-For", b"10.0.0.1, 10.0.0.2"),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"shop.example"),
        (b"X-Forwarded-Port", b"443"),
        (b"Forwarded", b"for=10.0.0.1"),
    )
    found = passed(head(*lines), PROXY)
    assert found[b"x-forwarded-for"] == b"10.0.0.1, 10.0.0.2, 192.0.2.7"
    assert found[b"x-forwarded-proto"] == b"https"
    assert found[b"x-forwarded-host"] == b"shop.example"
    assert found[b"x-forwarded-port"] == b"443"
    assert found[b"forwarded"] == b"for=10.0.0.1|" + OWN[b"forwarded"]


def test_a_prefix_taken_off_the_path_is_told() -> None:
    """So that a service can build links that lead back."""
    found = Identified("acme", b"/v1", b"h", b"/t/acme", by_key=False)
    assert passed(head(), found=found)[b"x-forwarded-prefix"] == b"/t/acme"


def test_an_ipv6_client_is_written_as_rfc_7239_says() -> None:
    """Bracketed and quoted."""
    assert passed(head(), Client(b"2001:db8::1"))[b"forwarded"].startswith(b'for="[2001:db8::1]"')


@pytest.mark.parametrize(
    ("given_ids", "expected"),
    [
        ([b"abc-123"], b"abc-123"),
        ([b"a" * 128], b"a" * 128),
        ([], b"fresh"),
        ([b""], b"fresh"),
        ([b"a" * 129], b"fresh"),
        ([b"a b"], b"fresh"),
        ([b'a"b'], b"fresh"),
        ([b"caf\xe9"], b"fresh"),
        ([b"a", b"b"], b"fresh"),
    ],
)
def test_a_request_id_is_kept_when_it_is_one(given_ids: list[bytes], expected: bytes) -> None:
    """What does not look like an identifier would end up in logs as it is."""
    lines = tuple((b"X-Request-ID", value) for value in given_ids)
    assert rules.request_id(head(*lines), b"fresh") == expected


def test_what_a_client_does_not_see_of_a_response() -> None:
    """Neither what is between router and cell, nor what runs there."""
    response = ResponseHead(
        200,
        b"OK",
        (
            (b"Server", b"Python/3.11 aiohttp/3"),
            (b"X-Powered-By", b"x"),
            (b"Cellway-Epoch", b"5"),
            (b"Connection", b"X-Private"),
            (b"X-Private", b"1"),
            (b"Transfer-Encoding", b"chunked"),
            (b"Trailer", b"X"),
            (b"X-Request-Id", b"forged"),
            (b"Set-Cookie", b"a=1"),
            (b"Set-Cookie", b"b=\xe9"),
            (b"Date", b"then"),
        ),
    )
    assert rules.for_client(response, ident=b"id-1", date=b"now") == [
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=\xe9"),
        (b"Date", b"then"),
        (b"X-Request-Id", b"id-1"),
    ]


NAMES = st.text("abcXYZ-_0129", min_size=1, max_size=12).map(str.encode)
KNOWN = st.sampled_from(
    [b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"X-Tenant", b"Cellway-Tenant", b"Upgrade"]
)
VALUES = st.one_of(
    st.binary(max_size=20), st.sampled_from([b"chunked", b"3", b"acme", b"close", b"a.example", b"x, Host"])
)
HEADERS = st.lists(st.tuples(st.one_of(NAMES, KNOWN), VALUES), max_size=8)
TARGETS = st.one_of(
    st.binary(max_size=30), st.binary(max_size=20).map(lambda rest: b"/t/acme/" + rest), st.just(b"/")
)


@given(method=st.sampled_from([b"GET", b"POST", b"OPTIONS", b"TRACE"]), target=TARGETS, lines=HEADERS)
def test_whatever_is_forwarded_is_read_by_h11_as_it_was_meant(
    method: bytes, target: bytes, lines: list[tuple[bytes, bytes]]
) -> None:
    """Or nothing is forwarded: one request, for one tenant, with the same end of its body."""
    request_head = RequestHead(method, target, (1, 1), ((b"X-Tenant", b"acme"), *lines))
    found = identify(request_head, Sources(require_key=False))
    if request_fault(request_head, (b"x-tenant", b"host")) or not isinstance(found, Identified):
        return
    framing = request_framing(request_head)
    lines_out = rules.framed(
        rules.for_cell(request_head, found, SOMEBODY, ident=b"i", epoch=3, tenant_header=b"x-tenant"), framing
    )
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(rules.request_bytes(method, found.target, lines_out))
    event = parser.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (method, found.target)
    assert named(tuple(event.headers))[b"cellway-tenant"] == [b"acme"]
    assert named(tuple(event.headers))[b"cellway-epoch"] == [b"3"]
    assert len(named(tuple(event.headers))[b"host"]) == 1
    ended = isinstance(parser.next_event(), h11.EndOfMessage)
    assert ended == framing.empty


def test_framing_is_said_once() -> None:
    """Chunked, or a length, or nothing."""
    assert rules.framed([], Framing(chunked=True)) == [(b"Transfer-Encoding", b"chunked")]
    assert rules.framed([], Framing(7)) == [(b"Content-Length", b"7")]
    assert rules.framed([], Framing()) == []
