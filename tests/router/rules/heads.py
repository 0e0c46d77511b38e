"""Short ways to write requests' heads, and to read them as the router does."""

from router.rules.head import Header
from router.rules.identify import Sources
from router.rules.requests import RequestHead, Requests

KEY = b"ck_acme_" + b"k" * 43
OTHER_KEY = b"ck_beta_" + b"k" * 43
SOURCES = Sources()


def bearer(key: bytes) -> Header:
    return b"Authorization", b"Bearer " + key


def block(*headers: Header) -> bytes:
    """Header lines."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)


def written(
    *headers: Header,
    method: bytes = b"GET",
    target: bytes = b"/v1/things",
    version: bytes = b"1.1",
    host: bytes | None = b"example.com",
) -> bytes:
    """A request's head as it goes over the wire."""
    lines = headers if host is None else ((b"Host", host), *headers)
    return b"%b %b HTTP/%b\r\n%b\r\n" % (method, target, version, block(*lines))


def read(data: bytes, *, trusted: bool = False, sources: Sources = SOURCES) -> RequestHead | None:
    """What the router reads: up to the first empty line. None when the grammar refuses it."""
    end = data.find(b"\r\n\r\n")
    return Requests(sources, trusted=trusted).read(data, end) if end >= 0 else None


def head(
    *headers: Header,
    method: bytes = b"GET",
    target: bytes = b"/v1/things",
    version: bytes = b"1.1",
    host: bytes | None = b"example.com",
    trusted: bool = False,
    sources: Sources = SOURCES,
) -> RequestHead:
    """A head that fits the grammar."""
    data = written(*headers, method=method, target=target, version=version, host=host)
    found = read(data, trusted=trusted, sources=sources)
    assert found is not None
    return found
