"""Two ways through the router, one outcome.

Most requests and responses are passed on in a few lines that skip what was found out before about the same bytes
(`Passage.sent_at_once`, the usual case of `Connection.data_received`). What either side gets must not tell.
"""

import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from directory.memory_feed import MemoryFeed
from directory.values import CellEntry, Change, Rate, Snapshot, TenantEntry
from router.app import Router
from router.bodies import CONTINUE
from router.client import Client
from router.outbox import Outbox
from router.passage import Passage
from router.rules.breaker import Breaker
from router.rules.memo import Memo
from router.rules.rates import Bucket
from router.rules.responses import HEADS
from router.upstream.connection import Connection
from tests.router.rules.heads import KEY, OTHER_KEY, bearer, written
from tests.router.upstreams import IDENTITY, settings
from tests.router.wires import Wire
from tests.waiting import eventually

SOMEBODY, SOMEBODY_ELSE, PROXY = "192.0.2.7", "2001:db8::1", "10.0.0.9"
_OUR_DATE = re.compile(rb"\r\nDate: [^\r]* GMT\r\n")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with its body, and what a cell would answer."""

    request: bytes
    answer: bytes
    peer: str = SOMEBODY


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the two sides got, and what became of their connections."""

    to_cell: bytes
    to_client: bytes
    client_wire: str
    cell_connection_closed: bool


class Session:
    """One client's connection, and the requests that it sends one after the other."""

    def __init__(self, bench: "Bench", peer: str) -> None:
        self.bench, self.wire = bench, Wire(peer)
        self.client = Client(bench.router.lane)
        self.client.connection_made(self.wire)

    def ask(self, exchange: Exchange, *, bytewise: bool = False) -> Outcome:
        self.bench.renew()
        connection, cell = self.bench.kept()
        before = len(self.wire.out)
        for piece in _pieces(exchange.request, bytewise=bytewise):
            self.client.data_received(piece)
        if cell.out:
            _answer(connection, exchange.answer, bytewise=bytewise)
        to_client = _OUR_DATE.sub(b"\r\nDate: now\r\n", bytes(self.wire.out[before:]))
        outcome = Outcome(bytes(cell.out), to_client, self.wire.state, connection.closed)
        connection.connection_lost(None)
        return outcome

    @property
    def usable(self) -> bool:
        """Whether the next request would be read as one."""
        return self.client.idle and self.wire.state == "open"

    def leave(self) -> None:
        self.client.connection_lost(None)


def _pieces(data: bytes, *, bytewise: bool) -> Iterable[bytes]:
    return [data[index : index + 1] for index in range(len(data))] if bytewise else [data]


def _answer(connection: Connection, answer: bytes, *, bytewise: bool) -> None:
    """All of it, and then the end of the connection if more was promised."""
    for piece in _pieces(answer, bytewise=bytewise):
        if connection.closed or (connection.complete and bytewise):
            return
        connection.data_received(piece)
    if not connection.closed and not connection.complete:
        connection.connection_lost(None)


def _forget(memo: Memo[Any]) -> None:
    memo.young.clear()
    memo._old.clear()


class Bench:
    """A router without sockets: what is written to it and by it is in memory."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.pool = router.cells.pool("cell-1")
        self.readers = [router.lane.reader(router.lane.sender_at(peer)) for peer in (SOMEBODY, PROXY)]
        self.spent = False
        """Whether tenants with a limit have used it up."""
        router.lane.bits = lambda _bits: 0x5EED  # request ids and traces do not differ from run to run

    def kept(self) -> tuple[Connection, Wire]:
        """A connection to the cell that has served somebody, ready for the next."""
        connection, wire = Connection(self.pool), Wire("127.0.0.1")
        connection.connection_made(wire)
        connection.complete = connection.keeps = connection._sent_all = True
        connection.requests = 1
        self.pool._all.add(connection)
        self.pool._idle.append(connection)
        return connection, wire

    def renew(self) -> None:
        """Nothing that earlier requests used up or broke is to be seen."""
        self.pool.breaker = Breaker()
        self.pool.heard(0.0)
        for tenant in self.router.lane.tenants:
            if tenant.bucket is not None:
                tenant.bucket = Bucket(tenant.bucket.per_second, tenant.bucket.burst)
                if self.spent:
                    tenant.bucket = Bucket(0.001, 1)
                    tenant.bucket.take(monotonic())

    def forget(self, *, requests: bool = True, responses: bool = True, tenants: bool = True) -> None:
        if requests:
            for reader in self.readers:
                _forget(reader.fields)
        if responses:
            _forget(HEADS)
        if tenants:
            self.router.lane.active.clear()

    def doubt(self) -> None:
        """Take nothing that is remembered for plain."""
        for reader in self.readers:
            for fields in reader.fields.young.values():
                fields.plain = False

    def alone(self, exchange: Exchange, *, bytewise: bool = False) -> Outcome:
        """On a connection of its own."""
        session = Session(self, exchange.peer)
        try:
            return session.ask(exchange, bytewise=bytewise)
        finally:
            session.leave()


@pytest.fixture(scope="module")
async def bench() -> AsyncIterator[Bench]:
    feed = MemoryFeed()
    tenants = {
        "acme": TenantEntry("acme", "cell-1", 5, Rate(1.0, 100)),
        "beta": TenantEntry("beta", "cell-1", 7),
    }
    await feed.fill(Snapshot(IDENTITY, 10, {"cell-1": CellEntry("cell-1", "open", "http://127.0.0.1:1")}, tenants))
    router = Router(settings(trusted_proxies="10.0.0.0/8"), feed)
    # No turn ends here: what is to be sent is sent at once.
    router.cells.outbox = router.lane.outbox = Outbox(lambda flush: flush())
    await router.follower.step()
    yield Bench(router)
    await router.cells.close()


USUAL = written(bearer(KEY), (b"Accept", b"*/*"))
OK = b"HTTP/1.1 200 OK\r\nServer: x\r\nDate: then\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"\r\nTransfer-Encoding: chunked\r\n"
PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

LINES = st.sampled_from(
    [
        b"Accept: */*", b"Cookie: a=b; c=caf\xe9", b"x-odd:1", b"X-Empty:", b"~x|: v", b"Bad : v", b"Bad: \x00",
        b"X-Tenant: acme", b"x-tenant:acme ", b"X-Tenant: beta", b"X_Tenant: beta", b"Cellway-Tenant: beta",
        b"cellway-epoch: 9", b"Connection: keep-alive", b"Connection: Keep-Alive, x-empty", b"Connection: close",
        b"Connection: Upgrade", b"Connection: accept, x-request-id, via", b"Keep-Alive: 5", b"Upgrade: websocket",
        b"X-Request-Id: mine-1", b"X-Request-Id: not one", b"traceparent: " + PARENT, b"traceparent: 00-x",
        b"tracestate: a=1", b"X-Forwarded-For: 10.1.1.1", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: shop",
        b"X-Forwarded-Prefix: /p", b"Forwarded: for=10.1.1.1", b"X-Real-Ip: 10.1.1.1", b"X-Forwarded-Port: 443",
        b"Via: 1.0 other", b"Prefer: wait=1", b"Expect: 100-continue", b"Expect: more", b"TE: trailers",
        b"Idempotency-Key: 1", b"Content-Length: 0", b"Content-Length: 2", b"Content-Length: x",
        b"Transfer-Encoding: chunked", b"Host: acme.api.localhost", b"Authorization: Basic x",
    ]
)  # fmt: skip
HOSTS = st.sampled_from(
    [
        b"Host: example.com", b"Host: acme.api.localhost", b"host:acme.api.localhost:80",
        b"Host: ACME.api.localhost.", b"Host: beta.api.localhost", b"Host: a b", b"Host:", b"Host: [::1]:80",
    ]
)  # fmt: skip
KEYS = st.sampled_from([b"Authorization: Bearer " + key for key in (KEY, KEY, OTHER_KEY, b"nonsense")])
TARGETS = st.sampled_from(
    [
        b"/v1/things", b"/", b"/?x=/t/beta/", b"//x/../%2e", b"/t/acme/v1?q", b"/t/beta/v1", b"/t/acme", b"/t",
        b"http://acme.api.localhost/v1", b"http://other.example:80?x", b"https://beta.api.localhost", b"*", b"x",
        b"/#", b"/T/x",
    ]
)  # fmt: skip
METHODS = st.sampled_from([b"GET", b"GET", b"GET", b"HEAD", b"POST", b"DELETE", b"OPTIONS", b"BREW", b"TRACE"])
BODIES = st.sampled_from([b"", b"", b"", b"ok", b"2\r\nok\r\n0\r\n\r\n", b"G", b"\r\n"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Mostly sound, and mostly for acme."""
    lines = [draw(HOSTS), draw(KEYS), *draw(st.lists(LINES, max_size=5))]
    if draw(st.integers(0, 9)) == 0:
        lines.pop(draw(st.integers(0, 1)))
    line = b"%b %b HTTP/1.%d" % (draw(METHODS), draw(TARGETS), draw(st.sampled_from([1, 1, 1, 0])))
    return b"\r\n".join([line, *lines, b"", b""]) + draw(BODIES)


STATUSES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.0 200 OK", b"HTTP/1.1 404 caf\xe9",
        b"HTTP/1.1 500 ", b"HTTP/1.1 503 Down", b"HTTP/1.1 401 No", b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 101 Switching Protocols", b"HTTP/1.1 600 x", b"HTTP/2 200 OK",
    ]
)  # fmt: skip
ANSWER_LINES = st.sampled_from(
    [
        b"Date: then", b"date:then", b"Server: x", b"X-Powered-By: x", b"Connection: keep-alive",
        b"Connection: close", b"Connection: set-cookie, date", b"Keep-Alive: timeout=5",
        b"Set-Cookie: a=1", b"Set-Cookie: b=\xff",
        b"Content-Type: application/json", b"Content-Type: text/event-stream", b"X-Request-Id: forged",
        b"Cellway-Epoch: 9", b"Cellway-Other: 1", b"Bad : v", b"Bad: \x00", b"x-odd:", b"Upgrade: h2c",
        b"Trailer: X", b"RateLimit: x",
    ]
)  # fmt: skip
FRAMINGS = st.sampled_from(
    [
        (b"Content-Length: 2", b"ok"), (b"Content-Length: 2", b"ok"), (b"content-length:002", b"ok"),
        (b"Content-Length: 0", b""), (b"Content-Length: 3", b"ok"), (b"Content-Length: 1", b"ok"),
        (b"Content-Length: x", b"ok"), (b"Content-Length: 2\r\nContent-Length: 2", b"ok"),
        (b"Transfer-Encoding: chunked", b"2\r\nok\r\n0\r\n\r\n"), (b"Transfer-Encoding: chunked", b"2\r\nok\r\n"),
        (b"Transfer-Encoding: chunked", b"x\r\n"), (b"Transfer-Encoding: chunked\r\nContent-Length: 2", b"ok"),
        (b"X-None: 1", b"ok"), (b"X-None: 1", b""), (b"Content-Length: 2", b""),
    ]
)  # fmt: skip
INTERIMS = st.sampled_from(
    [b"", b"", b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Mostly sound, and mostly of a known length."""
    line, body = draw(FRAMINGS)
    lines = [*draw(st.lists(ANSWER_LINES, max_size=4)), line]
    return draw(INTERIMS) + b"\r\n".join([draw(STATUSES), *lines, b"", b""]) + body


USUAL_LINES = st.sampled_from(
    [
        b"Accept: */*", b"x-odd:1", b"X-Tenant: acme", b"Connection: keep-alive", b"X-Request-Id: mine-1",
        b"traceparent: " + PARENT, b"tracestate: a=1", b"X-Forwarded-For: 10.1.1.1", b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: shop", b"X-Forwarded-Prefix: /p", b"Forwarded: for=10.1.1.1", b"X_Tenant: beta",
        b"Cellway-Tenant: beta", b"Idempotency-Key: 1", b"Connection: close",
    ]
)  # fmt: skip
USUAL_HOSTS = st.sampled_from([b"Host: example.com", b"Host: acme.api.localhost", b"Host: [::1]:80"])
USUAL_TARGETS = st.sampled_from([b"/v1/things", b"/", b"//x?y"])


@st.composite
def usual_requests(draw: st.DrawFn) -> bytes:
    """Of those that are sent at once, when their tenant is known."""
    line = b"%b %b HTTP/1.1" % (draw(METHODS), draw(USUAL_TARGETS))
    lines = draw(st.lists(USUAL_LINES, max_size=3, unique=True))
    return b"\r\n".join([line, draw(USUAL_HOSTS), b"Authorization: Bearer " + KEY, *lines, b"", b""])


EXCHANGES = st.builds(
    Exchange,
    st.one_of(requests(), usual_requests()),
    answers(),
    st.sampled_from([SOMEBODY, SOMEBODY, SOMEBODY_ELSE, PROXY]),
)
HOSTING = examples(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def test_the_usual_request_goes_the_usual_way(bench: Bench) -> None:
    """Else nothing of this file would prove anything."""
    bench.forget()
    exchange = Exchange(USUAL, OK)
    bench.alone(exchange)
    session = Session(bench, SOMEBODY)
    connection, cell = bench.kept()
    session.client.data_received(USUAL)
    passage = session.client.passage
    assert isinstance(passage, Passage)
    assert passage._plain
    assert OK[: OK.find(b"\r\n\r\n") + 4] in HEADS.young
    connection.data_received(OK)
    session.leave()
    assert bytes(cell.out).startswith(b"GET /v1/things HTTP/1.1\r\nHost: example.com\r\n")
    assert bytes(session.wire.out) == (
        b"HTTP/1.1 200 OK\r\nDate: then\r\nX-Request-Id: %032x\r\nContent-Length: 2\r\n"
        b'RateLimit-Policy: "requests";q=100;w=100\r\nRateLimit: "requests";r=98;t=2\r\n\r\nok' % 0x5EED
    )


@HOSTING
@given(exchange=EXCHANGES, leaving=st.booleans())
async def test_both_ways_agree_byte_for_byte(bench: Bench, exchange: Exchange, *, leaving: bool) -> None:
    """Whether tenant, request and response are known already, and whether care is taken with either."""
    bench.router.lane.leaving = leaving
    bench.forget()
    cold = bench.alone(exchange)
    warm = bench.alone(exchange)
    bench.forget(requests=False, tenants=False)
    careful_answer = bench.alone(exchange)
    bench.doubt()
    careful_request = bench.alone(exchange)
    bench.forget(requests=False, tenants=False)
    careful = bench.alone(exchange)
    bench.forget()
    bench.router.lane.leaving = False
    assert warm == cold
    assert careful_answer == cold
    assert careful_request == cold
    assert careful == cold


@HOSTING
@given(exchange=EXCHANGES)
async def test_the_pieces_in_which_bytes_come_do_not_matter(bench: Bench, exchange: Exchange) -> None:
    """Neither a client's nor a cell's; but a fault may be found sooner, or when something was passed on already.

    How a body is cut into chunks is not compared, nor whether one that comes with its head was asked for.
    """
    whole = bench.alone(exchange)
    known = bench.alone(exchange, bytewise=True)
    bench.forget()
    assert bench.alone(exchange, bytewise=True) == known
    assert known.to_cell == whole.to_cell
    to_client = known.to_client.removeprefix(CONTINUE)
    if whole.to_client.startswith(b"HTTP/1.1 400 "):
        assert to_client.startswith(b"HTTP/1.1 400 ")
    elif b"HTTP/1.1 502 " not in whole.to_client and CHUNKED not in whole.to_client:
        assert to_client == whole.to_client


@HOSTING
@given(exchanges=st.lists(EXCHANGES, max_size=6), order=st.lists(st.integers(0, 5), max_size=12))
async def test_nothing_leaks_from_one_request_to_another(
    bench: Bench, exchanges: list[Exchange], order: list[int]
) -> None:
    """Whatever came before over this connection or any other: each is passed on as if it were the first."""
    expected = []
    for exchange in exchanges:
        bench.forget()
        expected.append(bench.alone(exchange))
    sessions: dict[str, Session] = {}
    for index in [each for each in order if each < len(exchanges)]:
        exchange = exchanges[index]
        session = sessions.setdefault(exchange.peer, Session(bench, exchange.peer))
        assert session.ask(exchange) == expected[index]
        if not session.usable:
            sessions.pop(exchange.peer).leave()
    for session in sessions.values():
        session.leave()


@pytest.mark.parametrize(
    ("peer", "chain"),
    [
        (SOMEBODY, b"192.0.2.7"),
        (SOMEBODY_ELSE, b"2001:db8::1"),
        (PROXY, b"10.1.1.1, 10.0.0.9"),
        ("192.0.2.8", b"192.0.2.8"),
    ],
)
async def test_the_same_lines_from_others_tell_of_others(bench: Bench, peer: str, chain: bytes) -> None:
    """What is remembered of them is not who sent them, nor whether they were to be believed."""
    exchange = Exchange(written(bearer(KEY), (b"X-Forwarded-For", b"10.1.1.1")), OK, peer)
    for _ in range(3):
        assert b"\r\nX-Forwarded-For: %b\r\n" % chain in bench.alone(exchange).to_cell


async def test_what_is_remembered_of_the_way_is_of_this_request(bench: Bench) -> None:
    """A client may mean another host each time, and a proxy's requests come from many."""
    for lines in (
        [((b"Host", host),) for host in (b"a.example", b"b.example", b"a.example")],
        [
            ((b"Host", b"a.example"), (b"X-Forwarded-For", each))
            for each in (b"10.1.1.1", b"10.1.1.2", b"10.1.1.1")
        ],
    ):
        exchanges = [Exchange(written(bearer(KEY), *each, host=None), OK, PROXY) for each in lines]
        session = Session(bench, PROXY)
        assert [session.ask(each) for each in exchanges * 2] == [bench.alone(each) for each in exchanges * 2]
        session.leave()
        everybodys = [replace(each, peer=SOMEBODY) for each in exchanges]
        session = Session(bench, SOMEBODY)
        assert [session.ask(each) for each in everybodys * 2] == [bench.alone(each) for each in everybodys * 2]
        session.leave()


async def test_the_same_lines_serve_other_methods_targets_and_versions(bench: Bench) -> None:
    """They are remembered without the request's line, which may name a tenant itself."""
    lines = USUAL.partition(b"\r\n")[2]
    session = Session(bench, SOMEBODY)
    starts = []
    for line in (b"GET /a", b"DELETE /b", b"GET /t/acme/c", b"HEAD http://acme.api.localhost/d", b"GET /t/beta/e"):
        outcome = session.ask(Exchange(line + b" HTTP/1.1\r\n" + lines, OK))
        starts.append(outcome.to_cell.partition(b" HTTP/1.1\r\n")[0])
    session.leave()
    assert starts == [b"GET /a", b"DELETE /b", b"GET /c", b"HEAD /d", b""]


async def test_a_limit_holds_on_both_ways(bench: Bench) -> None:
    """A request that is refused is not counted twice, and its connection to the cell is kept for others."""
    lane = bench.router.lane
    session = Session(bench, SOMEBODY)
    for doubted in (False, True):
        bench.forget()
        session.ask(Exchange(USUAL, OK))
        session.ask(Exchange(USUAL, OK))
        if doubted:
            bench.doubt()
        bucket = lane.active[b"acme"].bucket = Bucket(0.001, 1)
        assert bucket.take(session.client.passage.started if session.client.passage else lane.now) == 0.0
        connection, cell = bench.kept()
        before = len(session.wire.out)
        session.client.data_received(USUAL)
        assert bytes(session.wire.out[before:]).startswith(b"HTTP/1.1 429 ")
        assert (bytes(cell.out), connection.closed, session.usable) == (b"", False, True)
        connection.connection_lost(None)
    session.leave()


@HOSTING
@given(exchange=EXCHANGES, leaving=st.booleans())
async def test_a_refusal_over_the_limit_is_the_same_on_both_ways(
    bench: Bench, exchange: Exchange, *, leaving: bool
) -> None:
    """Whatever is wrong with the request besides, and however its connection goes on."""
    bench.forget()
    bench.alone(Exchange(USUAL, OK))  # the tenant is known, and so has a limit that can be used up
    bench.router.lane.leaving, bench.spent = leaving, True
    try:
        usual = bench.alone(exchange)
        bench.doubt()
        careful = bench.alone(exchange)
    finally:
        bench.router.lane.leaving = bench.spent = False
    ends = {usual.client_wire, careful.client_wire}
    # With a body the careful way reads on for a moment before it closes: it does not know yet that this was all.
    assert len(ends) == 1 or ends == {"closed", "half closed"}
    assert replace(careful, client_wire=usual.client_wire) == usual


async def test_a_request_that_waits_for_a_connection_counts_once(bench: Bench) -> None:
    """The usual way gives back what it took of the limit when it cannot be gone to the end."""
    bench.forget()
    bench.alone(Exchange(USUAL, OK))
    bench.renew()
    for kept in list(bench.pool._idle):
        kept.connection_lost(None)
    bucket = bench.router.lane.active[b"acme"].bucket
    assert bucket is not None
    session = Session(bench, SOMEBODY)
    session.client.data_received(USUAL)
    session.leave()
    assert bucket.burst - bucket.remaining(monotonic()) == 1


@pytest.mark.parametrize("doubted", [False, True])
async def test_what_is_sent_again_is_what_was_sent(bench: Bench, *, doubted: bool) -> None:
    """After a 421, to wherever the tenant lives by now: all but the epoch is the same."""
    bench.forget()
    bench.alone(Exchange(USUAL, OK))
    if doubted:
        bench.doubt()
    later, later_cell = bench.kept()
    first, first_cell = bench.kept()
    session = Session(bench, SOMEBODY)
    session.client.data_received(USUAL)
    feed, table = bench.router.feed, bench.router.table
    entry = table.find("acme")
    assert isinstance(feed, MemoryFeed)
    assert entry is not None
    moved = replace(entry, epoch=entry.epoch + 1)
    await feed.publish(IDENTITY, [Change((await feed.published(IDENTITY) or 0) + 1, moved)])
    await bench.router.follower.step()
    first.data_received(b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n")
    # The one that answered was given back last, so it is used first.
    await eventually(lambda: later_cell.out or first_cell.out.count(b"Cellway-Epoch") > 1)
    asked = bytes(first_cell.out + later_cell.out)
    half = len(asked) // 2
    assert asked[half:] == asked[:half].replace(b"Epoch: %d" % entry.epoch, b"Epoch: %d" % moved.epoch)
    session.leave()
    for connection in (first, later):
        connection.connection_lost(None)
