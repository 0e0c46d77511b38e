"""Which addresses may be registered and connected to."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.errors import BadAddress
from directory.resolver import CheckedResolver
from directory.rules.addresses import check_ip, check_origin

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
