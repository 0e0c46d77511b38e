"""Where the WebSocket frames of one direction end (RFC 6455 section 5.2), without looking into them. Pure.

After the 101 the router is a byte pipe and judges nothing. It only needs to know the boundaries, because a router
that leaves says so with a Close frame (1012), and a frame put into the midst of another destroys the stream. A
control frame may stand between any two frames, the fragments of one message included (RFC 6455 section 5.4).
"""

_CLOSE = 0x8
_LONGEST_UP_TO_LENGTH_BYTES = 10
"""The part of a frame's header that tells its length; the masking key comes after it."""


class Frames:
    """Follows one direction of a pipe; what a call costs depends on the frames in it, not on the bytes."""

    __slots__ = ("_head", "_left_bytes", "close_seen")

    def __init__(self) -> None:
        self.close_seen = False
        """Whether a Close frame began. After one, no further frame may be sent, so none may be put in."""
        self._left_bytes = 0  # of the frame whose header was understood
        self._head = b""  # the begin of a header whose length is not yet known

    @property
    def at_boundary(self) -> bool:
        """Whether a frame may be put in behind all that was fed."""
        return not self._left_bytes and not self._head

    def feed(self, data: bytes) -> int | None:
        """The last offset in `data` at which a frame may be put in; None when all of it is amid one frame.

        `len(data)` says that `data` ends at a boundary; 0, that only its begin is one.
        """
        at = self._left_bytes
        if self._head:
            head = self._head + data[: _LONGEST_UP_TO_LENGTH_BYTES - len(self._head)]
            size = _frame_bytes(head, 0)
            if not size:
                self._head = head
                return None
            at = size - len(self._head)
            self._head = b""
        return self._walk(data, at)

    def _walk(self, data: bytes, at: int) -> int | None:
        """From boundary to boundary, of which the first is at `at`."""
        length, last = len(data), None
        while at <= length:
            last = at
            if at == length:
                break
            if data[at] & 0x0F == _CLOSE:
                self.close_seen = True
            size = _frame_bytes(data, at)
            if not size:
                self._head, self._left_bytes = data[at:], 0
                return last
            at += size
        self._left_bytes = at - length
        return last


def _frame_bytes(data: bytes, at: int) -> int:
    """The size of the frame that begins at `at`, header included; 0 when its header is not all there."""
    came = len(data) - at
    if came < 2:
        return 0
    second = data[at + 1]
    length, header = second & 0x7F, 6 if second & 0x80 else 2
    if length < 126:
        return header + length
    wide = 2 if length == 126 else 8
    if came < 2 + wide:
        return 0
    return header + wide + int.from_bytes(data[at + 2 : at + 2 + wide])


def close_frame(code: int, mask: bytes | None = None) -> bytes:
    """A Close frame with a status code (RFC 6455 section 7.4).

    `mask` is four unpredictable bytes towards a server, which must have them, and None towards a client, which
    must not (section 5.1).
    """
    payload = code.to_bytes(2)
    if mask is None:
        return b"\x88\x02" + payload
    return b"\x88\x82" + mask + bytes([byte ^ key for byte, key in zip(payload, mask, strict=False)])
