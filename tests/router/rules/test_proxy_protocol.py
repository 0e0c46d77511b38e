"""The header that a load balancer puts before a connection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules.proxy_protocol import LONGEST_V1_BYTES, LONGEST_V2_BYTES, Incomplete, Malformed, Proxied, parse

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FOUR = bytes([192, 0, 2, 1, 192, 0, 2, 9]) + (5000).to_bytes(2) + (443).to_bytes(2)
SIX = bytes.fromhex("20010db800000000000000000000000120010db8000000000000000000000009") + FOUR[8:]
SHORT = b"PROXY TCP4 192.0.2.1 192.0.2.9 5000 443\r\n"
IN_FULL = b"ffff:" * 7 + b"ffff"
LONGEST_LINE = b"PROXY UNKNOWN " + IN_FULL + b" " + IN_FULL + b" 65535 65535\r\n"


def binary(block: bytes, *, command: int = 0x21, family: int = 0x11, length: int | None = None) -> bytes:
    """A header of version 2."""
    return SIGNATURE + bytes([command, family]) + (len(block) if length is None else length).to_bytes(2) + block


def triple(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2) + value


NAMED_FOUR = (b"192.0.2.1", 5000, b"192.0.2.9", 443)
NAMED_SIX = (b"2001:db8::1", 5000, b"2001:db8::9", 443)
NOBODY = (None, None, None, None)
SOUND = [
    (SHORT, (*NAMED_FOUR, None)),
    (b"PROXY TCP6 2001:DB8:0::1 2001:db8::9 5000 443\r\n", (*NAMED_SIX, None)),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 0 65535\r\n", (b"192.0.2.1", 0, b"::1", 65_535, None)),
    (b"PROXY UNKNOWN\r\n", (*NOBODY, None)),
    (b"PROXY UNKNOWN what ever\r\n", (*NOBODY, None)),
    (LONGEST_LINE, (*NOBODY, None)),
    (binary(FOUR), (*NAMED_FOUR, None)),
    (binary(SIX, family=0x21), (*NAMED_SIX, None)),
    (binary(b"", command=0x20, family=0), (*NOBODY, None)),
    (binary(FOUR, command=0x20), (*NOBODY, None)),
    (binary(b"??", command=0x20, family=0xFF), (*NOBODY, None)),
    (binary(b"", family=0x00), (*NOBODY, None)),
    (binary(FOUR, family=0x12), (*NOBODY, None)),
    (binary(bytes(216), family=0x31), (*NOBODY, None)),
    (binary(FOUR + triple(0x20, b"\x01" + bytes(4))), (*NAMED_FOUR, True)),
    (binary(FOUR + triple(0x20, b"\x00" + bytes(4))), (*NAMED_FOUR, False)),
    (
        binary(SIX + triple(4, b"") + triple(0x20, b"\x07" + bytes(4) + triple(0x21, b"TLSv1.3")), family=0x21),
        (*NAMED_SIX, True),
    ),
    (binary(FOUR + triple(3, b"bad!") + triple(0xEE, b"x" * 300)), (*NAMED_FOUR, None)),
    (binary(FOUR + triple(4, bytes(LONGEST_V2_BYTES - 16 - 12 - 3))), (*NAMED_FOUR, None)),
]


@pytest.mark.parametrize(("header", "said"), SOUND)
@pytest.mark.parametrize("after", [b"", b"GET / HTTP/1.1\r\n", b"\r\n", SIGNATURE])
def test_a_header_is_understood_and_nothing_beyond_it_is_taken(
    header: bytes, said: tuple[object, ...], after: bytes
) -> None:
    """The next byte is the client's."""
    found = parse(header + after)
    assert isinstance(found, Proxied)
    assert found.consumed_bytes == len(header)
    assert (found.address, found.port, found.destination, found.destination_port, found.tls) == said


@pytest.mark.parametrize("header", [header for header, _ in SOUND])
def test_a_part_of_a_header_asks_for_more(header: bytes) -> None:
    """It never asks for more than is to come: a reader that waits for that many does not wait for ever."""
    for length in range(len(header)):
        found = parse(header[:length])
        assert isinstance(found, Incomplete)
        assert 1 <= found.needed_bytes <= len(header) - length


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"G",
        b"PROXY\r\n",
        b"PROXY \r\n",
        b"PROXY\n",
        b"proxy TCP4 192.0.2.1 192.0.2.9 5000 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 5000 443\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 5000 443\nGET",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 5000 443\rX",
        b"PROXY TCP4  192.0.2.1 192.0.2.9 5000 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 5000 443 \r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 5000\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 05000 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 65536 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.9 -1 443\r\n",
        b"PROXY TCP4 192.0.2.01 192.0.2.9 5000 443\r\n",
        b"PROXY TCP4 192.0.2 192.0.2.9 5000 443\r\n",
        b"PROXY TCP4 192.0.2.256 192.0.2.9 5000 443\r\n",
        b"PROXY TCP4 ::1 ::1 5000 443\r\n",
        b"PROXY TCP6 192.0.2.1 192.0.2.9 5000 443\r\n",
        b"PROXY TCP6 ::1%1 ::1 5000 443\r\n",
        b"PROXY UDP4 192.0.2.1 192.0.2.9 5000 443\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY UNKNOWN \x00\r\n",
        b"PROXY UNKNOWN " + b"a" * 92 + b"\r\n",
        b"PROXY UNKNOWN " + b"a" * 93,
        SIGNATURE[:4] + b"GET ",
        b"\r\n\r\n\r",
        binary(FOUR, command=0x11),
        binary(FOUR, command=0x22),
        binary(FOUR, command=0x31),
        binary(FOUR, family=0x41),
        binary(FOUR, family=0x13),
        binary(FOUR[:-1]),
        binary(SIX[:-1], family=0x21),
        binary(b""),
        binary(FOUR + b"\x20"),
        binary(FOUR + b"\x20\x00"),
        binary(FOUR + b"\x20\x00\x05\x01"),
        binary(FOUR + triple(0x20, b"\x01")),
        binary(FOUR + triple(4, b"") + b"\x04\xff\xff"),
        binary(b"", length=LONGEST_V2_BYTES - 15),
    ],
)
def test_what_is_not_exactly_a_header_is_refused(data: bytes) -> None:
    """An address that was misread would be believed by whatever comes after."""
    with pytest.raises(Malformed):
        parse(data)


def test_the_longest_line_is_as_long_as_the_protocol_says() -> None:
    """107 bytes with CRLF."""
    assert len(LONGEST_LINE) == LONGEST_V1_BYTES


@given(st.binary(max_size=60).map(lambda tail: SIGNATURE + b"\x21\x11\x00" + tail) | st.binary(max_size=120))
def test_whatever_comes_there_is_one_of_three_answers(data: bytes) -> None:
    """Nothing else escapes, and no more than there was is taken."""
    try:
        found = parse(data)
    except Malformed:
        return
    assert found.needed_bytes > 0 if isinstance(found, Incomplete) else found.consumed_bytes <= len(data)
