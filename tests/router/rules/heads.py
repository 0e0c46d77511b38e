"""Short ways to write heads."""

from router.rules.head import RequestHead

KEY = b"ck_acme_" + b"k" * 43
OTHER_KEY = b"ck_beta_" + b"k" * 43


def bearer(key: bytes) -> tuple[bytes, bytes]:
    return b"Authorization", b"Bearer " + key


def head(
    *headers: tuple[bytes, bytes],
    method: bytes = b"GET",
    target: bytes = b"/v1/things",
    version: tuple[int, int] = (1, 1),
    host: bytes | None = b"example.com",
) -> RequestHead:
    lines = headers if host is None else ((b"Host", host), *headers)
    return RequestHead(method, target, version, lines)
