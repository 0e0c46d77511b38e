"""WebSocket frames by hand (RFC 6455 section 5.2)."""

import asyncio

BINARY, CLOSE = 2, 8
MASK = b"\x01\x02\x03\x04"


def frame(kind: int, payload: bytes, *, masked: bool = False) -> bytes:
    """One whole frame."""
    bit = 0x80 if masked else 0
    size = len(payload)
    length = bytes([bit | size]) if size < 126 else bytes([bit | 126]) + size.to_bytes(2)
    body = bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload)) if masked else payload
    return bytes([0x80 | kind]) + length + (MASK if masked else b"") + body


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """(kind, payload) of the next frame. IncompleteReadError at the end: `partial` is empty between two frames."""
    first, second = await reader.readexactly(2)
    assert first & 0x70 == 0
    size = second & 0x7F
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2))
    elif size == 127:
        size = int.from_bytes(await reader.readexactly(8))
    mask = await reader.readexactly(4) if second & 0x80 else bytes(4)
    data = await reader.readexactly(size)
    return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
