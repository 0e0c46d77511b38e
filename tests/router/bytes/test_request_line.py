"""The request line and Host: a cell reads what the tenant was recognised by (RFC 9112 sections 2 and 3)."""

import pytest

from tests.router.bytes.messages import HOST, SMUGGLED, request
from tests.router.bytes.wire import Wire


def line(data: bytes) -> bytes:
    return request(line=data)


def target(data: bytes) -> bytes:
    return line(b"GET " + data + b" HTTP/1.1")


METHODS = {
    "CONNECT": request(line=b"CONNECT acme.api.localhost:80 HTTP/1.1"),
    "CONNECT with a path": line(b"CONNECT /x HTTP/1.1"),
    "TRACE": line(b"TRACE /x HTTP/1.1"),
    "no method": line(b" /x HTTP/1.1"),
    "an empty line's space": line(b"  HTTP/1.1"),
    "a space before it": line(b" GET /x HTTP/1.1"),
    "a tab before it": line(b"\tGET /x HTTP/1.1"),
    "a colon in it": line(b"GE:T /x HTTP/1.1"),
    "an at in it": line(b"G@T /x HTTP/1.1"),
    "a NUL in it": line(b"GE\x00T /x HTTP/1.1"),
    "a control byte in it": line(b"GE\x1bT /x HTTP/1.1"),
    "a high byte in it": line(b"G\xc9T /x HTTP/1.1"),
    "a bare CR behind it": line(b"GET\r/x HTTP/1.1"),
    "a tab behind it": line(b"GET\t/x HTTP/1.1"),
    "a vertical tab behind it": line(b"GET\x0b/x HTTP/1.1"),
    "two spaces behind it": line(b"GET  /x HTTP/1.1"),
}

TARGETS = {
    "empty": target(b""),
    "no slash": target(b"x"),
    "a query alone": target(b"?x"),
    "a space": target(b"/a b"),
    "a tab": target(b"/a\tb"),
    "a NUL": target(b"/a\x00b"),
    "a control byte": target(b"/a\x01b"),
    "DEL": target(b"/a\x7fb"),
    "a bare CR": target(b"/a\rb"),
    "a bare LF": target(b"/a\nb"),
    "a high byte": target(b"/\xe9"),
    "UTF-8": target("/\u00e9".encode()),
    "a high byte in the query": target(b"/?\xe9"),
    "a fragment": target(b"/a#b"),
    "a fragment behind a query": target(b"/a?b#c"),
    "an asterisk with GET": target(b"*"),
    "an authority": target(b"acme.api.localhost:80"),
    "an absolute one with a user": target(b"http://u@acme.api.localhost/"),
    "an absolute one with user and password": target(b"http://u:p@acme.api.localhost/"),
    "an absolute one of another scheme": target(b"ftp://acme.api.localhost/"),
    "an absolute one without authority": target(b"http:///x"),
    "an absolute one with a bad port": target(b"http://acme.api.localhost:x/"),
    "an absolute one with a fragment": target(b"http://acme.api.localhost/#x"),
    "an absolute one with a backslash": target(b"http://acme.api.localhost\\@beta.api.localhost/"),
    "no scheme": target(b"://acme.api.localhost/"),
    "a scheme alone": target(b"http:"),
    "javascript": target(b"javascript:alert(1)"),
}

VERSIONS = {
    "none": line(b"GET /x"),
    "none, and a space": line(b"GET /x "),
    "HTTP/0.9": line(b"GET /x HTTP/0.9"),
    "HTTP/1.2": line(b"GET /x HTTP/1.2"),
    "HTTP/1.9": line(b"GET /x HTTP/1.9"),
    "HTTP/2.0": line(b"GET /x HTTP/2.0"),
    "HTTP/2": line(b"GET /x HTTP/2"),
    "HTTP/3.0": line(b"GET /x HTTP/3.0"),
    "HTTP/1": line(b"GET /x HTTP/1"),
    "HTTP/1.": line(b"GET /x HTTP/1."),
    "HTTP/.1": line(b"GET /x HTTP/.1"),
    "HTTP/1.10": line(b"GET /x HTTP/1.10"),
    "HTTP/1.01": line(b"GET /x HTTP/1.01"),
    "HTTP/01.1": line(b"GET /x HTTP/01.1"),
    "HTTP/11.1": line(b"GET /x HTTP/11.1"),
    "HTTP/1,1": line(b"GET /x HTTP/1,1"),
    "HTTP/+1.1": line(b"GET /x HTTP/+1.1"),
    "HTTP/1.1 and a space": line(b"GET /x HTTP/1.1 "),
    "HTTP/1.1 and a tab": line(b"GET /x HTTP/1.1\t"),
    "HTTP/1.1 and a letter": line(b"GET /x HTTP/1.1x"),
    "HTTP/1.1 and a NUL": line(b"GET /x HTTP/1.1\x00"),
    "HTTP/1.1 and a CR": line(b"GET /x HTTP/1.1\r"),
    "a superscript one": line(b"GET /x HTTP/1.\xb9"),
    "http/1.1": line(b"GET /x http/1.1"),
    "Http/1.1": line(b"GET /x Http/1.1"),
    "HTTPS/1.1": line(b"GET /x HTTPS/1.1"),
    "HTTP 1.1": line(b"GET /x HTTP 1.1"),
    "HTTP\\1.1": line(b"GET /x HTTP\\1.1"),
    "ICY/1.1": line(b"GET /x ICY/1.1"),
    "RTSP/1.0": line(b"GET /x RTSP/1.0"),
    "two spaces before it": line(b"GET /x  HTTP/1.1"),
    "a tab before it": line(b"GET /x\tHTTP/1.1"),
    "a bare LF behind it": b"GET /x HTTP/1.1\n" + HOST + b"\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9, as simple as can be": b"GET /x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "the PROXY protocol": b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + request(),
    "a response": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}

BEGINNINGS = {
    "a bare LF": b"\n" + request(),
    "a bare CR": b"\r" + request(),
    "a space": b" " + request(),
    "an empty line with a space": b" \r\n" + request(),
    "a NUL": b"\x00" + request(),
    "a byte order mark": b"\xef\xbb\xbf" + request(),
    "bare LFs everywhere": request().replace(b"\r\n", b"\n"),
    "bare CRs everywhere": request().replace(b"\r\n", b"\r") + b"\r\n\r\n",
    "LF CR everywhere": request().replace(b"\r\n", b"\n\r"),
    "CR CR LF everywhere": request().replace(b"\r\n", b"\r\r\n"),
}

HOSTS = {
    "none": request(host=None),
    "none, in HTTP/1.1 with an absolute target": request(
        line=b"GET http://acme.api.localhost/x HTTP/1.1", host=None
    ),
    "two alike": request(HOST),
    "two different": request(b"Host: beta.api.localhost"),
    "two, the second empty": request(b"Host:"),
    "two, far apart and in another case": request(b"A: 1", b"hOST: acme.api.localhost"),
    "two in HTTP/1.0": request(HOST, line=b"GET /x HTTP/1.0"),
    "a list": request(host=b"Host: acme.api.localhost, beta.api.localhost"),
    "empty": request(host=b"Host:"),
    "only a space": request(host=b"Host: "),
    "a path": request(host=b"Host: acme.api.localhost/x"),
    "a query": request(host=b"Host: acme.api.localhost?x"),
    "a fragment": request(host=b"Host: acme.api.localhost#x"),
    "a user": request(host=b"Host: u@acme.api.localhost"),
    "a user and a password": request(host=b"Host: u:p@acme.api.localhost"),
    "a scheme": request(host=b"Host: http://acme.api.localhost"),
    "a space in it": request(host=b"Host: acme.api.localhost beta"),
    "a tab in it": request(host=b"Host: acme.api.localhost\tbeta"),
    "a backslash": request(host=b"Host: acme.api.localhost\\x"),
    "a quote": request(host=b'Host: "acme.api.localhost"'),
    "angle brackets": request(host=b"Host: <acme.api.localhost>"),
    "a NUL": request(host=b"Host: acme\x00.api.localhost"),
    "a high byte": request(host=b"Host: acm\xe9.api.localhost"),
    "a no-break space behind": request(host=b"Host: acme.api.localhost\xa0"),
    "a vertical tab before": request(host=b"Host: \x0bacme.api.localhost"),
    "a dotless i": request(host="Host: acme.ap\u0131.localhost".encode()),
    "an empty label": request(host=b"Host: acme.api..localhost"),
    "two dots at the end": request(host=b"Host: acme.api.localhost.."),
    "a port that is none": request(host=b"Host: acme.api.localhost:http"),
    "a signed port": request(host=b"Host: acme.api.localhost:+80"),
    "two ports": request(host=b"Host: acme.api.localhost:80:80"),
    "half an IPv6 address": request(host=b"Host: [::1"),
    "an IPv6 address and rubbish": request(host=b"Host: [::1]x"),
    "folded": request(host=b"Host:\r\n acme.api.localhost"),
    "a space before the colon": request(host=b"Host : acme.api.localhost"),
    "a bare LF and another": request(host=b"Host: acme.api.localhost\nHost: beta.api.localhost"),
    "as the first line, folded": b"GET /x HTTP/1.1\r\n Host: acme.api.localhost\r\n" + request(),
}

REFUSED = {
    f"{group}: {name}": data
    for group, cases in {
        "method": METHODS,
        "target": TARGETS,
        "version": VERSIONS,
        "beginning": BEGINNINGS,
        "host": HOSTS,
    }.items()
    for name, data in cases.items()
}


@pytest.mark.parametrize("trickled", [False, True], ids=["whole", "trickled"])
@pytest.mark.parametrize("name", REFUSED)
async def test_a_first_line_or_host_that_is_in_doubt_is_refused(wire: Wire, name: str, trickled: bool) -> None:
    """400, or 505 for a version that is not spoken here; then the end of the connection."""
    answers = await wire.refused(REFUSED[name], trickled=trickled)
    assert answers.final.start[0] in ((400, 505) if name.startswith("version") else (400,))
    assert answers.final.values(b"connection") == [b"close"]
    assert answers.final.values(b"content-type") == [b"application/problem+json"]


@pytest.mark.parametrize(
    "path",
    [
        b"/", b"//", b"//a//b", b"/%2e%2e/%2F/%c3%a9%00%zz%", b"/a/../b/./c/..", b"/..", b"/a?b=c?d=%26&e", b"/?",
        b"/a;x=1,2'(3)*!~", b"/%", b"/%0d%0aHost:%20beta.api.localhost", b'/"<>\\^`{|}', b"/a+b", b"/a%20b",
        b"/%41%63", b"/%e9", b"/%25%32%65", b"/http://beta.api.localhost/", b"/@beta:80", b"/[::1]", b"/A/a",
        b"/" + b"a" * 8000,
    ],
)  # fmt: skip
async def test_a_target_arrives_byte_identical(wire: Wire, path: bytes) -> None:
    """Nothing is decoded, normalised or encoded again."""
    seen = await wire.forwarded(target(path))
    assert seen.wire.startswith(b"GET " + path + b" HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("data", "goes_on"),
    [
        (b"/t/acme/x", b"/x"),
        (b"/t/acme//x", b"//x"),
        (b"/t/acme", b"/"),
        (b"/t/acme/", b"/"),
        (b"/t/acme?q", b"/?q"),
        (b"/t/acme/%2e%2e/beta/x", b"/%2e%2e/beta/x"),
        (b"/t/acme/../beta/x", b"/../beta/x"),
    ],
)
async def test_a_prefix_is_recognised_on_the_bytes_that_are_there(wire: Wire, data: bytes, goes_on: bytes) -> None:
    """Only the prefix is taken off; the rest stays byte for byte."""
    seen = await wire.forwarded(target(data))
    assert seen.target == goes_on
    assert seen.values(b"cellway-tenant") == [b"acme"]
    assert seen.values(b"x-forwarded-prefix") == [b"/t/acme"]


@pytest.mark.parametrize("data", [b"/t/beta/x", b"/t/acme%2fx", b"/t/%61cme/x", b"/t/ACME/x", b"/t//acme", b"/t/"])
async def test_a_prefix_that_names_another_tenant_is_not_overruled(wire: Wire, data: bytes) -> None:
    """Host and key say acme. An encoded name is another name."""
    answers = await wire.exchange(target(data))
    assert answers.final.start[0] in (400, 404)
    await wire.settled()
    assert not wire.cell.seen


@pytest.mark.parametrize("data", [b"/%74/beta/x", b"/T/beta/x", b"//t/beta/x", b"/./t/beta/x", b"/t", b"/tx/beta"])
async def test_what_is_not_the_prefix_is_a_path(wire: Wire, data: bytes) -> None:
    """Decided on the bytes that came: nothing is decoded to look for it."""
    seen = await wire.forwarded(target(data))
    assert (seen.target, seen.values(b"cellway-tenant")) == (data, [b"acme"])


@pytest.mark.parametrize(
    ("absolute", "goes_on", "host"),
    [
        (b"http://acme.api.localhost/x?y", b"/x?y", b"acme.api.localhost"),
        (b"HTTP://acme.api.localhost:80/x", b"/x", b"acme.api.localhost:80"),
        (b"http://acme.api.localhost", b"/", b"acme.api.localhost"),
        (b"http://acme.api.localhost?y", b"/?y", b"acme.api.localhost"),
        (b"https://acme.api.localhost//x", b"//x", b"acme.api.localhost"),
    ],
)
async def test_an_absolute_target_outranks_host(wire: Wire, absolute: bytes, goes_on: bytes, host: bytes) -> None:
    """The cell gets the origin form and the host that was meant (RFC 9112 section 3.2.2)."""
    seen = await wire.forwarded(request(line=b"GET " + absolute + b" HTTP/1.1", host=b"Host: beta.api.localhost"))
    assert (seen.target, seen.values(b"host")) == (goes_on, [host])
    assert seen.values(b"cellway-tenant") == [b"acme"]


async def test_an_absolute_target_of_another_tenant_is_believed_before_host(wire: Wire) -> None:
    """Then it disagrees with the key."""
    answers = await wire.exchange(target(b"http://beta.api.localhost/x"))
    assert answers.final.start[0] == 404
    await wire.settled()
    assert not wire.cell.seen


async def test_options_may_ask_about_the_server(wire: Wire) -> None:
    """`*` is the one target that is no path, with OPTIONS alone."""
    assert (await wire.forwarded(line(b"OPTIONS * HTTP/1.1"))).wire.startswith(b"OPTIONS * HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "method", [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND"]
)
async def test_ordinary_methods_pass(wire: Wire, method: bytes) -> None:
    """Byte for byte."""
    answers = await wire.exchange(line(method + b" /x HTTP/1.1"), method=method)
    assert answers.final.start[0] == 200
    assert [seen.method for seen in wire.cell.seen] == [method]


@pytest.mark.parametrize(
    "method", [b"get", b"Get", b"trace", b"connect", b"BREW", b"M-X", b"!#$%&'*+-.^_`|~", b"G" * 60]
)
async def test_an_unusual_method_is_refused_or_passes_as_it_is(wire: Wire, method: bytes) -> None:
    """Methods are case-sensitive: `get` is not GET, and nobody makes it so."""
    answers = await wire.exchange(line(method + b" /x HTTP/1.1"))
    assert answers.final.start[0] in (200, 400, 405, 501)
    await wire.settled()
    expected = [method] if answers.final.start[0] == 200 else []
    assert [seen.method for seen in wire.cell.seen] == expected


async def test_one_empty_line_before_a_request_is_overlooked(wire: Wire) -> None:
    """RFC 9112 section 2.2: some clients send one behind a body."""
    seen = await wire.forwarded(b"\r\n" + request())
    assert seen.wire.startswith(b"GET /x HTTP/1.1\r\n")


async def test_one_empty_line_between_requests_is_overlooked(wire: Wire) -> None:
    """On a kept connection too."""
    wire.cell.forget()
    async with wire.speaking() as speaker:
        await speaker.send([request(line=b"GET /1 HTTP/1.1") + b"\r\n" + request(line=b"GET /2 HTTP/1.1")])
        await speaker.until_answered(2)
    assert [seen.target for seen in wire.cell.seen] == [b"/1", b"/2"]


@pytest.mark.parametrize(
    "host",
    [
        b"Host: acme.api.localhost:8080", b"Host:acme.api.localhost", b"Host: \t acme.api.localhost \t",
        b"host: acme.api.localhost", b"HOST: ACME.Api.Localhost", b"Host: acme.api.localhost.",
    ],
)  # fmt: skip
async def test_a_host_that_is_merely_unusual_passes(wire: Wire, host: bytes) -> None:
    """Without the white space around it, and else as it came."""
    seen = await wire.forwarded(request(host=host))
    assert seen.values(b"host") == [host.partition(b":")[2].strip(b" \t")]
    assert seen.values(b"cellway-tenant") == [b"acme"]


async def test_http_1_0_may_come_without_host(wire: Wire) -> None:
    """The key names the tenant; the cell still gets exactly one Host, and HTTP/1.1."""
    seen = await wire.forwarded(request(line=b"GET /x HTTP/1.0", host=None))
    assert seen.wire.startswith(b"GET /x HTTP/1.1\r\n")
    assert len(seen.values(b"host")) == 1


LONG = {
    "target": (target(b"/" + b"a" * 200_000), {414, 431}),
    "header": (request(b"X-Long: " + b"a" * 200_000), {431}),
    "name": (request(b"X" * 200_000 + b": a"), {431}),
    "head": (request(*(b"X-%d: %s" % (number, b"a" * 4000) for number in range(50))), {431}),
    "number of headers": (request(*(b"X-%d: a" % number for number in range(1000))), {431}),
    "number of headers that are empty": (request(*([b"A:"] * 5000)), {431}),
    "method": (line(b"G" * 200_000 + b" /x HTTP/1.1"), {400, 431, 501}),
    "empty lines": (b"\r\n" * 100_000 + request(), {400, 431}),
}


@pytest.mark.parametrize("name", LONG)
async def test_a_head_that_is_too_large_is_refused(wire: Wire, name: str) -> None:
    """431 (RFC 6585 section 5), and never a part of it to a cell."""
    data, statuses = LONG[name]
    wire.cell.forget()
    async with wire.speaking() as speaker:
        await speaker.send([data, SMUGGLED])
        if name == "empty lines":  # how many are overlooked is nobody's business, as long as it is bounded
            [answers] = await speaker.until_answered(1)
            assert answers.final.start[0] in (200, 400, 431)
            return
        answers = (await speaker.until_closed()).answers()
    assert answers.final.start[0] in statuses
    assert not answers.rest
    await wire.nothing_came()
