"""Which addresses may be registered and connected to.

An address comes from whoever registers a cell, so it must not lead the control plane or a router to a cloud's
metadata service or to another machine's link-local neighbours (OWASP, Server-Side Request Forgery). It is
checked as text when registered, and again as the resolved IP address when connected to: names can change.
"""

import ipaddress
from urllib.parse import urlsplit

from directory.errors import BadAddress

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")
)


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
    return text.rstrip("/")


def check_ip(ip: Ip) -> None:
    """BadAddress for metadata services, link-local, multicast, unspecified and reserved addresses."""
    real = getattr(ip, "ipv4_mapped", None) or ip
    if real in METADATA or real.is_link_local or real.is_multicast or real.is_unspecified:
        raise BadAddress(f"{ip} may not be connected to: metadata, link-local, multicast or unspecified")
    if real.is_reserved and not real.is_loopback:
        raise BadAddress(f"{ip} may not be connected to: reserved")


def _literal(host: str) -> Ip | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
