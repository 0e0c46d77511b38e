"""Requests' heads as they are read, and what is found out once about their header lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules import headers, strict
from router.rules.head import LONGEST_SPELLING_BYTES, MOST_SPELLINGS, Header, Vocabulary
from router.rules.identify import Identified, Sources, Unidentified, identify
from router.rules.requests import RequestHead, Requests
from tests.router.rules.heads import KEY, OTHER_KEY, bearer, head, read, written

AUTHORIZED = bearer(KEY)


def test_a_request_line_is_taken_apart() -> None:
    """Into the bytes that came."""
    found = head(method=b"BREW", target=b"/a?b", version=b"1.0")
    assert (found.method, found.target, found.minor) == (b"BREW", b"/a?b", 0)
    assert head().minor == 1
    assert repr(found) == "<RequestHead b'BREW' b'/a?b' 1.0>"


def test_what_follows_a_head_is_not_looked_at() -> None:
    """Neither a body nor the next request."""
    reader = Requests(Sources(), trusted=False)
    data = written((b"A", b"1"))
    found = reader.read(data + b"\x00 anything\r\n\r\n", data.find(b"\r\n\r\n"))
    assert found is not None
    assert found.fields.lines == (b"A: 1",)


def test_a_head_without_header_lines_is_one() -> None:
    """HTTP/1.0 asks for none."""
    found = read(b"GET / HTTP/1.0\r\n\r\n")
    assert found is not None
    assert (found.fields.lines, found.fields.count, found.fields.host) == ((), 0, b"")
    assert found.fields.lead == b"Host: \r\n"


def test_header_lines_are_counted_whether_they_travel_or_not() -> None:
    """The bound on their number is on what came."""
    assert head((b"Connection", b"close"), (b"A", b"1"), (b"A", b"1")).fields.count == 4


def test_what_means_something_is_found_by_its_lower_case_name() -> None:
    """Without white space around its value; what means nothing is not listed."""
    found = head((b"VIA", b" 1.1 a\t"), (b"via", b"1.1 b"), (b"X-Other", b"1"))
    assert found.values(b"via") == (b"1.1 a", b"1.1 b")
    assert found.values(b"x-other") == found.values(b"prefer") == ()


@pytest.mark.parametrize("name", [*strict.AT_MOST_ONCE, b"x-tenant"])
def test_what_must_come_once_and_came_twice_is_a_fault(name: bytes) -> None:
    """However it is spelled, even with the same value; and nothing else is said of such lines."""
    fields = head((name, b"1"), (name.title(), b"1"), host=None if name == b"host" else b"a").fields
    assert fields.fault == f"the header {name.decode()} is given more than once"
    assert not fields.plain
    assert fields.claim is Unidentified.NO_TENANT


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ((b"Connection", b"keep-alive"),),
        ((b"Connection", b"Keep-Alive"), (b"Keep-Alive", b"timeout=5")),
        ((b"X-Request-Id", b"a b"), (b"traceparent", b"x")),
        ((b"X-Forwarded-For", b"10.0.0.1"), (b"Cellway-Epoch", b"9")),
        ((b"X-Tenant", b"acme"), (b"Idempotency-Key", b"1")),
    ],
)
def test_most_requests_ask_for_no_care(lines: tuple[Header, ...]) -> None:
    """Their lines are sound, name one tenant, and have nothing to do with the connection or a body."""
    assert head(AUTHORIZED, *lines).fields.plain


@pytest.mark.parametrize(
    "lines",
    [
        ((b"Content-Length", b"x"),),
        ((b"Content-Length", b"1"), (b"Content-Length", b"1")),
        ((b"Transfer-Encoding", b"chunked"),),
        ((b"Expect", b"100-continue"),),
        ((b"Expect", b""),),
        ((b"Upgrade", b"websocket"),),
        ((b"Via", b"1.1 other"),),
        ((b"Prefer", b"wait=10"),),
        ((b"Connection", b"close"),),
        ((b"Connection", b"keep-alive, Close"),),
        ((b"Connection", b"keep-alive"), (b"Connection", b"upgrade")),
        ((b"Connection", b"X-Private"),),
        ((b"X-Tenant", b"beta"),),
        ((b"X-Tenant", b"acme"), (b"x-tenant", b"acme")),
    ],
)
def test_whatever_is_unusual_is_looked_at_with_care(lines: tuple[Header, ...]) -> None:
    """Each time, for what it means depends on more than these lines."""
    assert not head(AUTHORIZED, *lines).fields.plain


@pytest.mark.parametrize(("length", "line"), [(b"0", b"Content-Length: 0\r\n"), (b"7", b"Content-Length: 7\r\n")])
def test_a_body_of_a_known_length_is_usual(length: bytes, line: bytes) -> None:
    """How long it is was found out with the rest, and is said to the cell as it was said to the router."""
    fields = head(AUTHORIZED, (b"Content-Length", length)).fields
    assert fields.plain
    assert (fields.body_bytes, fields.framing_line) == (int(length), line)


@pytest.mark.parametrize("host", [None, b"", b"a b", b"beta.api.localhost", b"-.api.localhost"])
def test_a_host_that_is_missing_malformed_or_another_tenants_asks_for_care(host: bytes | None) -> None:
    """Where it is answered."""
    assert not head(AUTHORIZED, host=host).fields.plain


def test_without_a_key_nothing_is_plain_where_one_is_needed() -> None:
    """But where none is, any source will do."""
    assert not head((b"X-Tenant", b"acme")).fields.plain
    assert head((b"X-Tenant", b"acme"), sources=Sources(require_key=False)).fields.plain
    assert not head(sources=Sources(require_key=False)).fields.plain


def test_lines_are_found_out_once_for_all_requests_that_bring_them() -> None:
    """Whatever their method, target and version."""
    reader = Requests(Sources(), trusted=False)
    found = [
        reader.read(data, data.find(b"\r\n\r\n"))
        for data in (
            written(AUTHORIZED),
            written(AUTHORIZED, method=b"DELETE", target=b"/other"),
            written(AUTHORIZED, version=b"1.0", target=b"http://a/"),
        )
    ]
    assert len({id(each.fields) for each in found if each is not None}) == 1
    assert len(reader.fields) == 1


def test_lines_that_do_not_fit_the_grammar_are_not_remembered() -> None:
    """What a memo holds is sound, so what is found there need not be read again."""
    reader = Requests(Sources(), trusted=False)
    for data in (written((b"N", b"a\x00b")), written((b"N ", b"a"))):
        assert reader.read(data, data.find(b"\r\n\r\n")) is None
    assert len(reader.fields) == 0


def test_a_trusted_proxys_lines_are_kept_apart_from_everybodys() -> None:
    """The same bytes mean something else when they come from one."""
    data = written(AUTHORIZED, (b"X-Forwarded-Port", b"443"), (b"Forwarded", b"for=a"))
    everybody, proxies = read(data), read(data, trusted=True)
    assert everybody is not None
    assert proxies is not None
    assert everybody.fields.lines == (b"Authorization: Bearer " + KEY,)
    assert proxies.fields.lines[1:] == (b"X-Forwarded-Port: 443", b"Forwarded: for=a")


def test_what_connection_names_is_looked_at_and_does_not_travel() -> None:
    """A tenant that is named so is named all the same."""
    fields = head(AUTHORIZED, (b"Connection", b"x-tenant, Authorization"), (b"X-Tenant", b"acme")).fields
    assert fields.lines == ()
    assert isinstance(fields.claim, Identified)
    assert fields.lead == b"Host: example.com\r\n"


def test_spellings_of_names_are_remembered_within_bounds() -> None:
    """Clients spell a few names alike a million times, but could invent others for ever."""
    vocabulary = Vocabulary(staying=(b"via",))
    for index in range(2 * MOST_SPELLINGS):
        assert vocabulary[b"N%d" % index] is None
        assert len(vocabulary) <= MOST_SPELLINGS
    vocabulary.clear()
    for size in (LONGEST_SPELLING_BYTES, LONGEST_SPELLING_BYTES + 1):
        assert vocabulary[b"N" * size] is None
    assert list(vocabulary) == [b"N" * LONGEST_SPELLING_BYTES]
    meaning = vocabulary[b"VIA"]
    assert meaning is not None
    assert (meaning.name, meaning.travels) == (b"via", False)


NAMES = st.sampled_from(
    [b"Host", b"X-Tenant", b"x_tenant", b"Connection", b"Content-Length", b"Via", b"Expect", b"Upgrade", b"Other"]
)
VALUES = st.sampled_from(
    [b"acme", b"beta", b"close", b"keep-alive", b"x-tenant", b"0", b"7", b"a.example", b"", b","]
)
LINES = st.lists(
    st.one_of(st.tuples(NAMES, VALUES), st.sampled_from([bearer(KEY), bearer(OTHER_KEY)])), max_size=5
).map(lambda lines: [(b"Host", b"a.example"), bearer(KEY), *lines][len(lines) % 3 :])
TARGETS = st.sampled_from([b"/", b"/v1?x=/t/beta", b"//t/beta", b"/T/beta", b"/%74/beta", b"/t", b"/t?/"])


@given(LINES, TARGETS, st.sampled_from([b"GET", b"POST", b"OPTIONS", b"HEAD", b"BREW"]))
def test_what_is_plain_would_have_passed_every_check(lines: list[Header], target: bytes, method: bytes) -> None:
    """So nothing is lost by not asking again, whatever the method and the path."""
    found = read(written(*lines, method=method, target=target, host=None))
    assert found is not None
    if not found.fields.plain:
        return
    assert found.fields.fault is None
    assert strict.request_fault(found) is None
    assert strict.goes_on(found)
    assert strict.request_framing(found).empty
    assert not strict.unexpected(found)
    assert not strict.asks_upgrade(found)
    assert not headers.came_round(found.named, b"x")
    claim = identify(found, Sources())
    assert isinstance(claim, Identified)
    assert claim == found.fields.claim._replace(target=target)  # type: ignore[union-attr]


@given(LINES)
def test_lines_that_are_remembered_say_what_fresh_ones_say(lines: list[Header]) -> None:
    """The answer follows from the bytes alone."""
    reader = Requests(Sources(), trusted=False)
    data = written(*lines, host=None)
    end = data.find(b"\r\n\r\n")
    first, second, apart = reader.read(data, end), reader.read(data, end), read(data)
    assert isinstance(first, RequestHead)
    assert isinstance(second, RequestHead)
    assert isinstance(apart, RequestHead)
    assert first.fields is second.fields
    said = {name for name in dir(apart.fields) if not name.startswith("_")}
    assert {"claim", "lead", "plain", "tenant"} <= said
    for name in said:
        assert getattr(first.fields, name) == getattr(apart.fields, name)
