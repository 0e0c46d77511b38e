"""Which headers travel, and as which bytes."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules import headers as rules
from router.rules.head import Framing, Header
from router.rules.headers import Client
from router.rules.identify import Identified, Sources, identify
from router.rules.requests import RequestHead
from router.rules.responses import ResponseHead
from router.rules.strict import request_fault, request_framing
from tests.router.rules.heads import block, head, read, written

FOUND = Identified(b"acme", b"/v1", b"acme.api.localhost:80", None, by_key=False)
SOMEBODY = Client(b"192.0.2.7")
PROXY = Client(b"192.0.2.7", trusted=True)
FRESH = b"5" * 32


def sent(
    request_head: RequestHead,
    client: Client = SOMEBODY,
    found: Identified = FOUND,
    *,
    epoch: int = 7,
    via: bytes = rules.VIA,
    last: bytes = b"",
) -> bytes:
    """The head that a cell gets, put together as `Passage` does."""
    fields = request_head.fields
    lead = fields.lead
    if found.host is None or found.host != fields.host:
        lead = b"Host: %b\r\n" % (found.host or b"") + lead.partition(b"\r\n")[2]
    return rules.request_bytes(
        request_head.method,
        found.target,
        lead=lead,
        way=rules.about_the_way(request_head, found, client, via),
        stamp=rules.stamp(found.tenant, epoch),
        trace=fields.trace or rules.fresh_trace(FRESH),
        ident=fields.ident or FRESH,
        last=last,
    )


def lines_of(data: bytes) -> list[Header]:
    """The header lines of a head."""
    lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]


def passed(request_head: RequestHead, client: Client = SOMEBODY, found: Identified = FOUND) -> dict[bytes, bytes]:
    """What a cell gets: names in lower case; values of repeated ones joined by `|`."""
    result: dict[bytes, bytes] = {}
    for name, value in lines_of(sent(request_head, client, found)):
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
    b"x-request-id": FRESH,
    b"traceparent": b"00-%b-%b-02" % (FRESH, FRESH[16:]),
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
        (b"X-Request-Id", b"not one"),
        (b"traceparent", b"00-nonsense"),
        (b"tracestate", b"a=1"),
        (b"TraceParent", b"x"),
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
    assert header in lines_of(sent(head(header)))


@pytest.mark.parametrize("line", [b"x:1", b"x:  1\t", b"X-Empty:", b"x: a:b: c", b"~odd'`|!#$%&*+^.name: v"])
def test_a_line_that_means_nothing_here_is_not_touched(line: bytes) -> None:
    """Not even the white space around its value."""
    request_head = read(b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % line)
    assert request_head is not None
    assert line in sent(request_head).split(b"\r\n")


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
    found = passed(head(*lines, trusted=True), PROXY)
    assert found[b"x-forwarded-for"] == b"10.0.0.1, 10.0.0.2, 192.0.2.7"
    assert found[b"x-forwarded-proto"] == b"https"
    assert found[b"x-forwarded-host"] == b"shop.example"
    assert found[b"x-forwarded-port"] == b"443"
    assert found[b"forwarded"] == b"for=10.0.0.1|" + OWN[b"forwarded"]


def test_a_prefix_taken_off_the_path_is_told() -> None:
    """So that a service can build links that lead back."""
    found = Identified(b"acme", b"/v1", b"h", b"/t/acme", by_key=False)
    assert passed(head(), found=found)[b"x-forwarded-prefix"] == b"/t/acme"


def test_an_ipv6_client_is_written_as_rfc_7239_says() -> None:
    """Bracketed and quoted."""
    assert passed(head(), Client(b"2001:db8::1"))[b"forwarded"].startswith(b'for="[2001:db8::1]"')


@pytest.mark.parametrize(
    ("given_ids", "expected"),
    [
        ([b"abc-123"], b"abc-123"),
        ([b"a" * 128], b"a" * 128),
        ([], FRESH),
        ([b""], FRESH),
        ([b"a" * 129], FRESH),
        ([b"a b"], FRESH),
        ([b'a"b'], FRESH),
        ([b"caf\xe9"], FRESH),
        ([b"a", b"b"], FRESH),
    ],
)
def test_a_request_id_is_kept_when_it_is_one(given_ids: list[bytes], expected: bytes) -> None:
    """What does not look like an identifier would end up in logs as it is."""
    request_head = head(*[(b"X-Request-ID", value) for value in given_ids])
    assert request_head.fields.ident == rules.given_id(request_head.named)
    assert lines_of(sent(request_head))[-1] == (b"X-Request-Id", expected)


def test_what_a_client_does_not_see_of_a_response() -> None:
    """Neither what is between router and cell, nor what runs there."""
    lines = (
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
    )
    response = ResponseHead(1, 200, b"OK", block(*lines))
    assert response.lead == b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=\xe9\r\nDate: then\r\n"
    assert response.dated


PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (((b"TraceParent", PARENT),), [(b"traceparent", PARENT)]),
        (
            ((b"tracestate", b"a=1"), (b"traceparent", PARENT), (b"tracestate", b"b=2")),
            [(b"traceparent", PARENT), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")],
        ),
        (((b"traceparent", PARENT), (b"tracestate", b"=")), [(b"traceparent", PARENT)]),
        (((b"traceparent", PARENT), (b"traceparent", PARENT)), [(b"traceparent", OWN[b"traceparent"])]),
        (((b"tracestate", b"a=1"),), [(b"traceparent", OWN[b"traceparent"])]),
    ],
)
def test_a_trace_goes_on_when_it_is_one_and_begins_here_otherwise(
    lines: tuple[Header, ...], expected: list[Header]
) -> None:
    """W3C Trace Context: an invalid parent falls with its state, an invalid state alone."""
    found = [line for line in lines_of(sent(head(*lines))) if line[0].lower().startswith(b"trace")]
    assert found == expected


@pytest.mark.parametrize(
    ("stations", "round_trip"),
    [
        ([b"1.1 cellway-1"], True),
        ([b"1.0 fred, 1.1 cellway-1 (comment)"], True),
        ([b"1.0 fred", b"HTTP/1.1 cellway-1"], True),
        ([b"1.1 cellway-2"], False),
        ([b"1.1 cellway-12, cellway-1"], False),
        ([], False),
    ],
)
def test_a_request_that_was_here_before_is_known_by_its_via(stations: list[bytes], *, round_trip: bool) -> None:
    """RFC 9110 section 7.6.3; another router on the way is no loop."""
    assert rules.came_round(head(*[(b"Via", station) for station in stations]).named, b"cellway-1") is round_trip


NAMES = st.text("abcXYZ-_0129", min_size=1, max_size=12).map(str.encode)
KNOWN = st.sampled_from(
    [b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"X-Tenant", b"Cellway-Tenant", b"Upgrade"]
)
VALUES = st.one_of(
    st.binary(max_size=20),
    st.text('aZ09 \t,;="', max_size=20).map(str.encode),
    st.sampled_from([b"chunked", b"3", b"acme", b"close", b"a.example", b"x, Host"]),
)
HEADERS = st.lists(st.tuples(st.one_of(NAMES, KNOWN), VALUES), max_size=8).map(
    lambda lines: [(b"Host", b"a.example"), *lines] if len(lines) % 2 else lines
)
TARGETS = st.one_of(
    st.binary(max_size=30), st.binary(max_size=20).map(lambda rest: b"/t/acme/" + rest), st.just(b"/")
)


@given(method=st.sampled_from([b"GET", b"POST", b"OPTIONS", b"TRACE"]), target=TARGETS, lines=HEADERS)
def test_whatever_is_forwarded_is_read_by_h11_as_it_was_meant(
    method: bytes, target: bytes, lines: list[Header]
) -> None:
    """Or nothing is forwarded: one request, for one tenant, with the same end of its body."""
    data = written((b"X-Tenant", b"acme"), *lines, method=method, target=target, host=None)
    request_head = read(data, sources=Sources(require_key=False))
    if request_head is None or request_head.fields.fault or request_fault(request_head):
        return
    found = identify(request_head, Sources(require_key=False))
    if not isinstance(found, Identified):
        return
    framing = request_framing(request_head)
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(sent(request_head, found=found, epoch=3, last=rules.framing_line(framing)))
    event = parser.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (method, found.target)
    assert [value for name, value in event.headers if name == b"cellway-tenant"] == [b"acme"]
    assert [value for name, value in event.headers if name == b"cellway-epoch"] == [b"3"]
    assert [value for name, value in event.headers if name == b"host"] == [found.host]
    ended = isinstance(parser.next_event(), h11.EndOfMessage)
    assert ended == framing.empty


def test_framing_is_said_once() -> None:
    """Chunked, or a length, or nothing."""
    assert rules.framing_line(Framing(chunked=True)) == b"Transfer-Encoding: chunked\r\n"
    assert rules.framing_line(Framing(7)) == b"Content-Length: 7\r\n"
    assert rules.framing_line(Framing()) == b""


@pytest.mark.parametrize(
    ("method", "status", "framing", "length", "chunked", "line"),
    [
        (b"GET", 200, Framing(7), b"007", False, b"Content-Length: 7\r\n"),
        (b"GET", 200, Framing(chunked=True), None, True, b"Transfer-Encoding: chunked\r\n"),
        (b"GET", 200, None, None, True, b"Transfer-Encoding: chunked\r\n"),
        (b"GET", 200, Framing(chunked=True), None, False, b""),
        (b"GET", 200, None, None, False, b""),
        (b"HEAD", 200, Framing(), b"7", False, b"Content-Length: 7\r\n"),
        (b"HEAD", 200, Framing(), None, False, b""),
        (b"GET", 304, Framing(), b"7", False, b"Content-Length: 7\r\n"),
        (b"GET", 204, Framing(), b"7", False, b""),
    ],
)
def test_a_client_is_told_how_a_body_ends(
    method: bytes, status: int, framing: Framing | None, length: bytes | None, line: bytes, *, chunked: bool
) -> None:
    """A length without a body says how long it would be, but says nothing with 204 (RFC 9110 section 8.6)."""
    assert rules.shown_framing(method, status, framing, length, chunked=chunked) == line
