"""Whom a request is for, decided by a real HAProxy as `router.rules.identify` would."""

from collections.abc import AsyncIterator

import pytest

from directory.memory_feed import MemoryFeed
from tests.router.export.proxies import OTHER_KEY, Haproxy, exported
from tests.router.upstreams import KEY, FakeCell, ask, serving, snapshot_of

NO_KEY: str | None = None
HOST, NO_HOST = "acme.api.localhost", "127.0.0.1:8080"


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[tuple[Haproxy, Haproxy, FakeCell]]:
    """An HAProxy that demands keys, and one that does not and knows two domains."""
    async with serving(FakeCell()) as cell:
        feed = MemoryFeed()
        tenants = {"acme": ("cell-1", 5), "other": ("cell-1", 6)}
        await feed.fill(snapshot_of({"cell-1": cell.address}, tenants))
        open_to_all = {"require_api_key": False, "domains": ("api.localhost", "example.com")}
        async with exported(feed) as strict, exported(feed, **open_to_all) as lax:
            yield strict, lax, cell


def request(target: str, host: str | None, key: str | None, *extra: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1"]
    lines += [] if host is None else [f"Host: {host}"]
    lines += [] if key is None else [f"Authorization: Bearer {key}"]
    return "\r\n".join([*lines, *extra, "", ""]).encode()


@pytest.mark.parametrize(
    ("target", "host", "key", "extra", "seen"),
    [
        ("/x", HOST, KEY, (), "/x"),
        ("/x", "ACME.API.localhost:8080", KEY, (), "/x"),
        ("/x", "acme.api.localhost.", KEY, (), "/x"),
        ("/x", NO_HOST, KEY, (), "/x"),
        ("/t/acme/x", NO_HOST, KEY, (), "/x"),
        ("/t/acme", NO_HOST, KEY, (), "/"),
        ("/t/acme/", NO_HOST, KEY, (), "/"),
        ("/t/acme?a=/t/b", NO_HOST, KEY, (), "/?a=/t/b"),
        ("/t/acme//x/../%2e%2F?q=%20&b=1", NO_HOST, KEY, (), "//x/../%2e%2F?q=%20&b=1"),
        ("/t/acme/t/acme/x", NO_HOST, KEY, (), "/t/acme/x"),
        ("/T/acme/x", NO_HOST, KEY, (), "/T/acme/x"),
        ("/x", NO_HOST, KEY, ("X-Tenant: acme",), "/x"),
        ("/t/acme/x", HOST, KEY, ("X-Tenant:   acme  ",), "/x"),
        ("http://acme.api.localhost/t/acme/x?y", HOST, KEY, (), "/x?y"),
        ("/x", NO_HOST, "x", ("Authorization: bEaReR   " + KEY + " ",), None),
    ],
)
async def test_all_sources_that_are_there_name_the_tenant(
    shared: tuple[Haproxy, Haproxy, FakeCell],
    target: str,
    host: str,
    key: str,
    extra: tuple[str, ...],
    seen: str | None,
) -> None:
    """And what is left of the path reaches the cell byte for byte."""
    haproxy, _, cell = shared
    if seen is None:  # another spelling of the one header
        key, seen = None, target  # type: ignore[assignment]
    cell.seen.clear()
    answer = await ask(haproxy, request(target, host, key, *extra))  # type: ignore[arg-type]
    assert (answer.status, answer.body) == (200, b"ok")
    [came] = cell.seen
    assert came.target.decode() == seen
    assert (came.values(b"cellway-tenant"), came.values(b"cellway-epoch")) == ([b"acme"], [b"5"])


@pytest.mark.parametrize(
    ("target", "host", "key", "extra", "status", "says"),
    [
        ("/x", HOST, NO_KEY, (), 401, "API key"),
        ("/x", HOST, "ck_acme_tooshort", (), 401, "API key"),
        ("/x", HOST, KEY + "k", (), 401, "API key"),
        ("/x", HOST, OTHER_KEY, (), 404, "different ones"),
        ("/t/other/x", HOST, KEY, (), 404, "different ones"),
        ("/t/other/x", NO_HOST, KEY, (), 404, "different ones"),
        ("/t//x", NO_HOST, KEY, (), 404, "different ones"),
        ("/x", NO_HOST, KEY, ("X-Tenant: other",), 404, "different ones"),
        ("/x", NO_HOST, KEY, ("X-Tenant:",), 404, "different ones"),
        ("/x", NO_HOST, KEY, ("X-Tenant: ACME",), 404, "different ones"),
        ("/x", "a.acme.api.localhost", KEY, (), 404, "different ones"),
        ("/x", NO_HOST, "ck_nobody_" + "k" * 43, (), 401, "API key"),
        ("/x", NO_HOST, "ck_-a_" + "k" * 43, (), 404, "different ones"),
    ],
)
async def test_what_disagrees_or_is_unknown_is_refused_before_a_cell_hears_of_it(
    shared: tuple[Haproxy, Haproxy, FakeCell],
    target: str,
    host: str,
    key: str | None,
    extra: tuple[str, ...],
    status: int,
    says: str,
) -> None:
    """In the router's own words."""
    haproxy, _, cell = shared
    cell.seen.clear()
    answer = await ask(haproxy, request(target, host, key, *extra))  # type: ignore[arg-type]
    assert (answer.status, cell.seen) == (status, [])
    assert says in answer.body.decode()
    assert answer.values(b"content-type") == [b"application/problem+json"]
    assert answer.values(b"cache-control") == [b"no-store"]
    assert len(answer.values(b"x-request-id")) == 1
    assert answer.values(b"www-authenticate") == ([b"Bearer"] if status == 401 else [])


@pytest.mark.parametrize(
    ("target", "host", "extra", "status"),
    [
        ("/x", "acme.example.com", (), 200),
        ("/x", "acme.api.localhost", (), 200),
        ("/x", "example.com", (), 400),
        ("/x", "acmeexample.com", (), 400),
        ("/x", "nobody.example.com", (), 404),
        ("/x", "acme.example.com", ("Authorization: Basic eDp5",), 200),
        ("/t/acme/x", "other.example.com", (), 404),
    ],
)
async def test_without_keys_an_unknown_tenant_is_an_honest_404(
    shared: tuple[Haproxy, Haproxy, FakeCell], target: str, host: str, extra: tuple[str, ...], status: int
) -> None:
    """And a request that names nobody is told how to."""
    _, haproxy, _ = shared
    answer = await ask(haproxy, request(target, host, None, *extra))  # type: ignore[arg-type]
    assert answer.status == status


async def test_a_cells_401_cannot_be_told_from_one_for_an_unknown_tenant(
    shared: tuple[Haproxy, Haproxy, FakeCell],
) -> None:
    """Otherwise names could be tried out (decision 4)."""
    haproxy, _, cell = shared
    cell.answers.append(b"HTTP/1.1 401 Unauthorized\r\nX-Cell: 1\r\nContent-Length: 3\r\n\r\nno!")
    known = await ask(haproxy, request("/x", NO_HOST, KEY))  # type: ignore[arg-type]
    unknown = await ask(haproxy, request("/x", NO_HOST, "ck_nobody_" + "k" * 43))  # type: ignore[arg-type]
    differ = {b"x-request-id", b"date"}
    assert (known.status, known.body) == (unknown.status, unknown.body) == (401, unknown.body)
    assert [name for name, _ in known.headers] == [name for name, _ in unknown.headers]
    assert [each for each in known.headers if each[0] not in differ] == [
        each for each in unknown.headers if each[0] not in differ
    ]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ("TRACE /x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", 400),
        ("GET /x HTTP/1.1\r\n\r\n", 400),
        ("GET /x HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET /x HTTP/2.0\r\nHost: h\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("GET /x HTTP/1.1\r\nHost: h\r\nX-Tenant: acme\r\nX-Tenant: acme\r\n\r\n", 400),
        ("GET /x HTTP/1.1\r\nHost: h\r\nX_Tenant: acme\r\n\r\n", 403),
        ("GET /x HTTP/1.1\r\nHost: h\r\nX-Y: a\x00b\r\n\r\n", 400),
        ("GET /x HTTP/1.1\r\nHost: h\r\nX-Y: a\x1bb\r\n\r\n", 400),
        ("POST /x HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST /x HTTP/1.1\r\nHost: h\r\nExpect: 200-ok\r\nContent-Length: 2\r\n\r\nab", 417),
    ],
)
async def test_what_two_parsers_could_read_differently_is_refused(
    shared: tuple[Haproxy, Haproxy, FakeCell], data: str, status: int
) -> None:
    """As problem+json, by HAProxy's parser or by a rule of ours, and nothing reaches a cell."""
    haproxy, _, cell = shared
    cell.seen.clear()
    head, blank, body = data.partition("\r\n\r\n")
    sent = f"{head}\r\nAuthorization: Bearer {KEY}{blank}{body}".encode("latin-1")
    answer = await ask(haproxy, sent)  # type: ignore[arg-type]
    assert (answer.status, cell.seen) == (status, [])
    assert answer.values(b"content-type") == [b"application/problem+json"]


@pytest.mark.parametrize(
    "data",
    [
        "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /x#y HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost : h\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: h\r\nX-Y: a\rb\r\n\r\n",
        "GET /x HTTP/1.1\r\n Host: h\r\n\r\n",
        "GET http://a.api.localhost/x HTTP/1.1\r\nHost: b.api.localhost\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\nab",
        "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_its_parser_refuses_reaches_no_cell(
    shared: tuple[Haproxy, Haproxy, FakeCell], data: str
) -> None:
    """Before any rule: the answer is HAProxy's own, which depends on its version."""
    haproxy, _, cell = shared
    cell.seen.clear()
    head, blank, body = data.partition("\r\n\r\n")
    sent = f"{head}\r\nAuthorization: Bearer {KEY}{blank}{body}".encode("latin-1")
    answer = await ask(haproxy, sent)  # type: ignore[arg-type]
    assert 400 <= answer.status < 500
    assert not cell.seen
