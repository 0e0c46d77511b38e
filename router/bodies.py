"""A client's body on its way to a cell, kept while it is small enough to be sent again."""

from router.rules.chunks import Chunks, Malformed, framed, last_chunk
from router.rules.head import Framing

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestBody:
    """The body of one request.

    Small ones are read before anything is sent, so that a slow client occupies no cell, and are `kept` for a
    second attempt. Larger ones are passed on as they come. How large a chunked one is shows only by reading it.
    """

    __slots__ = ("_chunks", "_left_bytes", "_most_kept_bytes", "complete", "framing", "kept")

    def __init__(self, framing: Framing, most_kept_bytes: int) -> None:
        self.framing = framing
        self.complete = False
        """Whether all of it came."""
        self.kept: bytearray | None = bytearray()
        """What came of it and was not sent yet, or may be sent again; None once it is passed on as it comes."""
        self._most_kept_bytes = most_kept_bytes
        self._left_bytes = framing.length_bytes or 0
        self._chunks = Chunks() if framing.chunked else None

    @classmethod
    def whole(cls, framing: Framing, data: bytes) -> "RequestBody":
        """One that came at once, and may be sent again."""
        body = cls(framing, len(data))
        body.kept, body.complete = bytearray(data), True
        return body

    @property
    def large(self) -> bool:
        """Whether it is more than is kept, as far as is known."""
        kept_bytes = 0 if self.kept is None else len(self.kept)
        return max(kept_bytes, self.framing.length_bytes or 0) > self._most_kept_bytes

    @property
    def replayable(self) -> bool:
        """Whether a second attempt can send it from its beginning."""
        return self.complete and self.kept is not None

    @property
    def has_trailers(self) -> bool:
        return self._chunks is not None and bool(self._chunks.trailers)

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """(what `data` brings of this body, what comes after its end). `chunks.Malformed`."""
        chunks = self._chunks
        if chunks is not None:
            payload = chunks.feed(data)
            self.complete = chunks.complete
            return payload, chunks.rest
        left = self._left_bytes
        if len(data) <= left:
            self._left_bytes = left - len(data)
            self.complete = len(data) == left
            return data, b""
        self._left_bytes, self.complete = 0, True
        return data[:left], data[left:]

    def check_trailers(self, tenant_header: bytes) -> None:
        """Malformed when a trailer is called as the header that names a tenant, which is a setting."""
        for name, _ in () if self._chunks is None else self._chunks.trailers:
            if name.lower().replace(b"_", b"-") == tenant_header:
                raise Malformed("a field is among the trailers that must not be there")

    def framed(self, payload: bytes) -> bytes:
        """What came last, as it travels to the cell; with the end, if that came too."""
        chunks = self._chunks
        if chunks is None:
            return payload
        return framed(payload) + last_chunk(chunks.trailers) if self.complete else framed(payload)

    def beginning(self) -> bytes:
        """What is there before anything is sent, as it travels. What is too much to keep is kept no longer."""
        if self.kept is None:
            return b""
        data = self.framed(bytes(self.kept))
        if self.large or not self.complete:
            self.kept = None
        return data
