"""Whom a connection is for, as a load balancer in front says it (PROXY protocol 1 and 2, haproxy.org). Pure.

The header stands before the first byte of TLS or HTTP. It is believed because the sender is; so the caller reads
it only where it is configured, from senders that are trusted, and never guesses whether it is there. What is not
exactly such a header is refused: with `Malformed` the connection is closed without a word.

The checksum that version 2 may carry (CRC32c) is not verified: TCP has one, and a trusted sender needs no proof.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

LONGEST_V1_BYTES = 107
"""`PROXY UNKNOWN`, two IPv6 addresses in full and two ports, with CRLF."""
LONGEST_V2_BYTES = 4_096
"""Ours, not the protocol's: addresses, host name, certificate name and identifiers fit many times over."""
_SHORTEST_V1 = b"PROXY UNKNOWN\r\n"
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED_V2_BYTES = 16
_TEXT = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) ([0-9]{1,5}) ([0-9]{1,5})")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [\x20-\x7e]*)?")
_LOCAL, _PROXY = 0x20, 0x21
"""Version and command in one byte."""
_ADDRESS_BYTES = {0x11: 4, 0x21: 16}
"""Family and transport in one byte (TCP over IPv4, over IPv6) → bytes of one address."""
_TLS, _OVER_TLS = 0x20, 0x01


class Malformed(ValueError):
    """There is no PROXY protocol header where one must be."""


@dataclass(frozen=True, slots=True)
class Incomplete:
    """What came may become a header once at least `needed_bytes` more are there."""

    needed_bytes: int


@dataclass(frozen=True, slots=True)
class Proxied:
    """A header of `consumed_bytes`; the connection's own bytes begin there.

    Addresses are text. They are None where the sender names none (its own health checks, or a transport that
    is not TCP over IP): then the addresses of the connection itself count. `tls` is None when nothing is said.
    """

    consumed_bytes: int
    address: bytes | None = None
    port: int | None = None
    destination: bytes | None = None
    destination_port: int | None = None
    tls: bool | None = None


def parse(data: bytes) -> Proxied | Incomplete:
    """The header at the begin of `data`, all that came so far. Raises `Malformed` as soon as it shows."""
    if data.startswith(_SIGNATURE[:1]):
        return _binary(data)
    return _text(data)


def _text(data: bytes) -> Proxied | Incomplete:
    """Version 1: one line."""
    end = data.find(b"\r\n", 0, LONGEST_V1_BYTES)
    if end < 0:
        return _text_so_far(data)
    line = data[:end]
    if _UNKNOWN.fullmatch(line):
        return Proxied(end + 2)
    match = _TEXT.fullmatch(line)
    if match is None:
        raise Malformed("the line is malformed")
    family = IPv4Address if match[1] == b"TCP4" else IPv6Address
    source, destination = (_written(family, match[part]) for part in (2, 3))
    return Proxied(end + 2, source, _port(match[4]), destination, _port(match[5]))


def _text_so_far(data: bytes) -> Incomplete:
    begin = b"PROXY "
    ends = data.endswith(b"\r")
    sound = data[: len(begin)] == begin[: len(data)] and all(
        0x20 <= byte < 0x7F for byte in data.removesuffix(b"\r")
    )
    if not sound or len(data) >= LONGEST_V1_BYTES:
        raise Malformed("the line does not begin or end as it must")
    return Incomplete(max(len(_SHORTEST_V1) - len(data), 1 if ends else 2))


def _written(family: type[IPv4Address] | type[IPv6Address], text: bytes) -> bytes:
    try:
        return _usual(family(text.decode()))
    except AddressValueError as error:
        raise Malformed("an address is malformed") from error


def _usual(address: IPv4Address | IPv6Address) -> bytes:
    """The one way to write an address, so that whoever counts by address counts a client once."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address).encode()


def _port(text: bytes) -> int:
    number = int(text)
    if number > 65_535 or text != b"%d" % number:
        raise Malformed("a port is malformed")
    return number


def _binary(data: bytes) -> Proxied | Incomplete:
    """Version 2: sixteen fixed bytes, addresses, then type-length-value triples."""
    if data[: len(_SIGNATURE)] != _SIGNATURE[: len(data)]:
        raise Malformed("the signature is wrong")
    if len(data) < _FIXED_V2_BYTES:
        return Incomplete(_FIXED_V2_BYTES - len(data))
    end = _FIXED_V2_BYTES + int.from_bytes(data[14:16])
    command, family = data[12], data[13]
    if command not in (_LOCAL, _PROXY) or end > LONGEST_V2_BYTES:
        raise Malformed("the version, command or length is not one that is understood")
    if command == _PROXY and (family >> 4 > 3 or family & 0x0F > 2):
        raise Malformed("the address family or transport does not exist")
    if len(data) < end:
        return Incomplete(end - len(data))
    width = _ADDRESS_BYTES.get(family)
    if command == _LOCAL or width is None:
        return Proxied(end)
    return _addresses(data[_FIXED_V2_BYTES:end], width, end)


def _addresses(block: bytes, width: int, consumed_bytes: int) -> Proxied:
    """Source, destination, their ports, and whether the client came over TLS."""
    named = 2 * width + 4
    if len(block) < named:
        raise Malformed("the addresses are cut short")
    family = IPv4Address if width == 4 else IPv6Address
    return Proxied(
        consumed_bytes,
        _usual(family(block[:width])),
        int.from_bytes(block[2 * width : 2 * width + 2]),
        _usual(family(block[width : 2 * width])),
        int.from_bytes(block[2 * width + 2 : named]),
        _tls(block[named:]),
    )


def _tls(triples: bytes) -> bool | None:
    """What the first PP2_TYPE_SSL says; every triple must end within the header."""
    said, at = None, 0
    while at < len(triples):
        begin = at + 3
        at = begin + int.from_bytes(triples[at + 1 : begin])
        if begin > len(triples) or at > len(triples):
            raise Malformed("what follows the addresses is cut short")
        if triples[begin - 3] == _TLS and said is None:
            if at - begin < 5:
                raise Malformed("what is said about TLS is cut short")
            said = bool(triples[begin] & _OVER_TLS)
    return said
