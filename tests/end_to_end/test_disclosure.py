"""Which tenants exist is nobody's business: a stranger is answered alike for those that do and do not."""

import asyncio
import secrets

import pytest
from yarl import URL

from console.platform.platform import Platform
from tests.end_to_end.actors import Operator

pytestmark = pytest.mark.platform

VARIES = (b"date:", b"x-request-id:")
JSON = "Content-Type: application/json\r\n"
PATHS = [
    "/nopage", "/", "/openapi.json", "/health/live", "/v1/accounts", "/v1/accounts/a%00b", "/v1/accounts?filter=(",
    "/v1/accounts?page_size=x", "/v1/accounts/a", "/v1/operations/o:wait", "/v1/accounts/" + "a" * 3000,
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
EXTRA = {
    "encoded": "Content-Encoding: gzip\r\n",
    "a long header": f"X-Long: {'x' * 12_000}\r\n",
    "many headers": "".join(f"X-{n}: x\r\n" for n in range(110)),
    "an expectation": "Expect: nothing\r\n",
}


async def _answer(platform: Platform, tenant_id: str, method: str, path: str, more: str = "") -> list[bytes]:
    """The lines of the answer to a stranger, without those that differ each time."""
    url = URL(platform.url("router"))
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = (
        f"{method} /t/{tenant_id}{path} HTTP/1.1\r\nHost: api.localhost\r\n"
        f"Authorization: Bearer ck_{tenant_id}_{'A' * 43}\r\n{more}"
    )
    head, _, body = head.partition("\r\n\r\n") if "\r\n\r\n" in head else (head.removesuffix("\r\n"), "", "")
    writer.write(f"{head}\r\n\r\n{body}".encode())
    async with asyncio.timeout(15):
        lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:"))
        content = b"" if method == "HEAD" else await reader.readexactly(length)
    writer.close()
    return [line for line in lines if not line.lower().startswith(VARIES)] + [content]


async def assert_told_alike(platform: Platform, known: str, method: str, path: str, more: str = "") -> list[bytes]:
    """The answer, which is the same to the letter for a tenant that exists and for one that does not."""
    unknown = f"t-{secrets.token_hex(4)}"
    told = [await _answer(platform, tenant_id, method, path, more) for tenant_id in (known, unknown)]
    assert told[0] == told[1], (method, path, more[:80])
    assert told[0][0].startswith(b"HTTP/1.1 401 ") or "Expect" in more, told[0]
    return told[0]


@pytest.mark.parametrize("method", METHODS)
async def test_no_path_tells_a_stranger_that_a_tenant_exists(
    platform: Platform, operator: Operator, method: str
) -> None:
    """Pages, missing pages, other methods: one 401, byte for byte, which nobody may store."""
    known = (await operator.tenant()).tenant_id
    for path in PATHS:
        assert b"Cache-Control: no-store" in await assert_told_alike(platform, known, method, path)


@pytest.mark.parametrize("name", EXTRA)
async def test_no_header_tells_a_stranger_that_a_tenant_exists(
    platform: Platform, operator: Operator, name: str
) -> None:
    """What the cell would refuse otherwise is refused as everything is."""
    known = (await operator.tenant()).tenant_id
    await assert_told_alike(platform, known, "GET", "/v1/accounts", EXTRA[name])


BODIES = {
    "JSON": f"{JSON}Content-Length: 2\r\n\r\n{{}}",
    "no JSON": f"{JSON}Content-Length: 2\r\n\r\n{{{{",
    "another type": "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
    "an encoded body": f"{JSON}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{{}}",
    "a body over the limit": f"{JSON}Content-Length: 2000000\r\n\r\n{'x' * 2_000_000}",
    "chunks": f"{JSON}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("path", ["/v1/accounts", "/nopage"])
async def test_no_body_tells_a_stranger_that_a_tenant_exists(
    platform: Platform, operator: Operator, name: str, path: str
) -> None:
    """Too large, encoded, malformed: that is told to those alone who hold a key."""
    known = (await operator.tenant()).tenant_id
    await assert_told_alike(platform, known, "POST", path, BODIES[name])


async def test_with_a_key_everything_is_told(operator: Operator) -> None:
    """A missing page is missing, a method is not possible, the document is there."""
    developer = await operator.tenant()
    asked = [("GET", "/nopage"), ("PUT", "/v1/accounts"), ("GET", "/openapi.json"), ("GET", "/health/live")]
    assert [(await developer.call(*each)).status for each in asked] == [404, 405, 200, 200]
