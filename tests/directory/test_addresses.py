"""Which addresses may be registered and connected to."""

import asyncio
import ipaddress
import socket
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.control.client import CellControl
from directory.errors import BadAddress, Silent
from directory.memory import MemoryDirectory
from directory.resolver import CheckedResolver
from directory.rules.addresses import check_ip, check_origin
from tests.directory.examples import new_cell

GOOD = [
    "http://10.0.0.7:8000",
    "https://cell-4.internal.example",
    "http://cell_api:8000/",
    "http://[2001:db8::7]:8000",
    "http://localhost:1",
    "http://127.0.0.1:65535",
    "http://a.example.",
]
BAD = [
    *("", "10.0.0.7:8000", "ftp://10.0.0.7", "http://", "http://a..b", "http://.", "http://..", "http://-a"),
    *(
        "http://a-",
        "http://{x}",
        "http://%00",
        "http://*",
        "http://" + "a" * 64,
        "http://" + ".".join(["a" * 60] * 5),
    ),
    *("http://2852039166/", "http://0xa9fea9fe", "http://0251.0376.0251.0376/", "http://169.254.43518"),
    *("http://169.254.169.254", "http://168.63.129.16", "http://[::ffff:169.254.169.254]", "http://[fe80::1]"),
    *("http://[2002:a9fe:a9fe::1]", "http://[64:ff9b::a9fe:a9fe]", "http://0.0.0.0", "http://[::]:80"),
    *("http://224.0.0.1", "http://255.255.255.255", "http://10.0.0.7:0", "http://10.0.0.7:99999"),
    *("http://user@10.0.0.7", "http://10.0.0.7/path", "http://10.0.0.7?x", "http://10.0.0.7#x", "http://ex ample"),
    *("http://exämple", "http://exa\tmple"),
]


@pytest.mark.parametrize("origin", GOOD)
def test_an_origin_of_a_cell_is_taken(origin: str) -> None:
    """Without its final slash."""
    assert check_origin(origin) == origin.rstrip("/")


@pytest.mark.parametrize("origin", BAD)
def test_what_is_no_origin_or_leads_elsewhere_is_refused(origin: str) -> None:
    """Whoever registers a cell chooses where the control plane and routers connect to."""
    with pytest.raises(BadAddress):
        check_origin(origin)


@given(st.text(max_size=80).map("http://".__add__) | st.text(max_size=40))
def test_any_text_is_an_origin_or_refused(text: str) -> None:
    """Never an error of ours; and what is taken can be encoded for a look-up."""
    try:
        taken = check_origin(text)
    except BadAddress:
        taken = "http://refused"
    assert taken.encode("idna")


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_however_it_is_carried(ip: ipaddress.IPv4Address) -> None:
    """Mapped into IPv6, by 6to4, or by NAT64."""
    carriers = [f"::ffff:{ip}", str(ipaddress.IPv6Address((0x2002 << 112) | (int(ip) << 80))), f"64:ff9b::{ip}"]
    verdicts = set()
    for text in (str(ip), *carriers):
        try:
            check_ip(ipaddress.ip_address(text))
            verdicts.add(True)
        except BadAddress:
            verdicts.add(False)
    assert len(verdicts) == 1


async def test_a_name_that_cannot_be_looked_up_is_an_error_of_the_network() -> None:
    """Whoever connects treats it like any address that is not there."""
    resolver = CheckedResolver()
    for name in ("a..b", "a" * 64, "no-such-name.invalid"):
        with pytest.raises(OSError, match=r"."):
            await resolver.resolve(name, 80, socket.AF_INET)
    await resolver.close()


FORBIDDEN = (
    *("169.254.169.254", "169.254.1.1", "100.100.100.200", "168.63.129.16", "0.0.0.0"),
    *("fd00:ec2::254", "fe80::1", "::ffff:169.254.169.254", "ff02::1"),
)
CELL = "cell-4.internal.example"


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """What names mean from now on."""

    def resolved(_host: object, port: int, *_args: object, **_kwargs: object) -> list[tuple[object, ...]]:
        found = []
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            where = (address, port, 0, 0) if ":" in address else (address, port)
            found.append((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where))
        return found

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_a_name_that_means_a_forbidden_address_is_refused_at_connecting(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """A name can be registered, and mean something else later; also as one of several addresses."""
    assert check_origin(f"http://{CELL}:8000") == f"http://{CELL}:8000"
    resolver = CheckedResolver()
    resolve_to(monkeypatch, "10.0.0.7")
    assert [found["host"] for found in await resolver.resolve(CELL, 8000)] == ["10.0.0.7"]
    for addresses in ((address,), ("10.0.0.7", address)):
        resolve_to(monkeypatch, *addresses)
        with pytest.raises(OSError, match="may not be connected to"):
            await resolver.resolve(CELL, 8000)
    await resolver.close()


async def test_a_cell_whose_name_turns_into_a_forbidden_address_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control plane's token is sent nowhere; the cell is silent, as if nobody were there."""
    connected: list[object] = []

    async def connect(_loop: object, _socket: socket.socket, where: object) -> None:
        connected.append(where)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", connect)
    truth = MemoryDirectory()
    await truth.register_cell(replace(new_cell(), control_address=f"http://{CELL}:8000"))
    cell, control = await truth.cell("cell-1"), CellControl("control-key-for-tests")
    for address in FORBIDDEN:
        resolve_to(monkeypatch, address)
        with pytest.raises(Silent):
            await control.cell(cell)
    assert connected == []
    resolve_to(monkeypatch, "10.0.0.7")
    with pytest.raises(Silent):
        await control.cell(cell)
    assert connected == [("10.0.0.7", 8000)]
    await control.close()
