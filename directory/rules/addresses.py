"""Which addresses may be registered and connected to.

An address comes from whoever registers a cell, so it must not lead the control plane or a router to a cloud's
metadata service or to another machine's link-local neighbours (OWASP, Server-Side Request Forgery). It is
checked as text when registered, and again as the resolved IP address when connected to: names can change.
"""

import ipaddress
import re
from urllib.parse import urlsplit

from directory.errors import BadAddress

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
"""Of AWS and most others, of AWS by IPv6, of Alibaba, Azure and Oracle."""
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
# What C libraries read as an IPv4 address although it does not look like one: 2852039166, 0xa9fea9fe, 0251.0376.1
_INET_ATON = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)


def check_origin(text: str) -> str:
    """An origin `http(s)://host[:port]` without anything else; BadAddress says what is wrong."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadAddress(f"not an address: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise BadAddress("an address looks like http://10.0.0.7:8000")
    if parts.username or parts.password or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise BadAddress("an address has no user, path, query or fragment")
    if not text.isascii() or any(character.isspace() or character < "!" for character in text):
        raise BadAddress("an address has no spaces, control or non-ASCII characters")
    ip = _literal(parts.hostname)
    if ip is not None:
        check_ip(ip)
    else:
        _check_name(parts.hostname)
    return text.rstrip("/")


def check_encrypted(origin: str, setting: str) -> None:
    """BadAddress unless it is spoken to with TLS, as `setting` wants of all cells."""
    if urlsplit(origin).scheme != "https":
        raise BadAddress(
            f"{origin} is not encrypted, and {setting} wants TLS to all cells: give the cell certificates "
            f"and an address with https://, or set {setting.removesuffix('FOLDER')}ONLY=false meanwhile"
        )


def _check_name(host: str) -> None:
    """A host name by RFC 1123 (and the underscores of container networks), of at most 253 characters."""
    labels = host.removesuffix(".").split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadAddress(f"{host[:60]!r} is not a host name: labels of 1 to 63 letters, digits and inner dashes")
    if _INET_ATON.fullmatch(labels[-1]):
        raise BadAddress("an IPv4 address is written as four decimal numbers")


def check_ip(ip: Ip) -> None:
    """BadAddress for metadata services, link-local, multicast, unspecified and reserved addresses."""
    real = _carried(ip)
    if real in METADATA or real.is_link_local or real.is_multicast or real.is_unspecified:
        raise BadAddress(f"{ip} may not be connected to: metadata, link-local, multicast or unspecified")
    if real.is_reserved and not real.is_loopback:
        raise BadAddress(f"{ip} may not be connected to: reserved")


def _carried(ip: Ip) -> Ip:
    """The IPv4 address that an IPv6 one stands for, when it stands for one: mapped, 6to4 or NAT64."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _literal(host: str) -> Ip | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
