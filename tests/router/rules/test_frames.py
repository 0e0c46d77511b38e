"""Where WebSocket frames end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules.frames import Frames, close_frame

LENGTHS = st.one_of(st.integers(0, 130), st.sampled_from([125, 126, 127, 65_535, 65_536, 70_000]))
OPCODES = st.sampled_from([0x0, 0x1, 0x2, 0x9, 0xA])


def frame(length: int, *, opcode: int = 2, masked: bool = False, final: bool = True, wide: bool = False) -> bytes:
    """A frame of zeros; `wide` writes the length with eight bytes even where fewer would do."""
    bit = 0x80 if masked else 0
    first = bytes([(0x80 if final else 0) | opcode])
    if wide or length > 65_535:
        head = bytes([bit | 127]) + length.to_bytes(8)
    elif length > 125:
        head = bytes([bit | 126]) + length.to_bytes(2)
    else:
        head = bytes([bit | length])
    return first + head + (b"mask" if masked else b"") + bytes(length)


FRAMES = st.builds(frame, LENGTHS, opcode=OPCODES, masked=st.booleans(), final=st.booleans(), wide=st.booleans())


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(min_value=0), max_size=30))
def test_boundaries_are_found_wherever_the_bytes_are_split(frames: list[bytes], cuts: list[int]) -> None:
    """A header may come in as many pieces as it has bytes."""
    wire, boundaries = b"".join(frames), {0}
    for one in frames:
        boundaries.add(max(boundaries) + len(one))
    follower, begin = Frames(), 0
    for end in [*sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]:
        found = follower.feed(wire[begin:end])
        expected = max((at for at in boundaries if begin <= at <= end), default=None)
        assert found == (None if expected is None else expected - begin)
        assert follower.at_boundary == (end in boundaries)
        begin = end
    assert not follower.close_seen


@given(st.lists(FRAMES, max_size=3))
def test_boundaries_are_found_byte_by_byte(frames: list[bytes]) -> None:
    """The slowest peer changes nothing."""
    follower, ends, seen = Frames(), 0, 0
    for one in frames:
        head, payload = one[:14], one[14:]
        found = [follower.feed(head[at : at + 1]) for at in range(len(head))]
        seen += sum(at == 1 for at in found)
        if payload:
            seen += follower.feed(payload) == len(payload)
        ends += 1
        assert follower.at_boundary
    assert seen == ends


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"", 0),
        (b"\x82", 0),
        (b"\x82\x00", 2),
        (b"\x82\x01", 0),
        (b"\x82\x01a", 3),
        (b"\x82\x80", 0),
        (b"\x82\x80mask", 6),
        (b"\x82\x7e\x00", 0),
        (b"\x82\x7e\x00\x01a\x82", 5),
        (b"\x82\x7f" + b"\xff" * 8 + b"a" * 100, 0),
        (frame(200) + frame(3) + b"\x89", 209),
    ],
)
def test_the_last_boundary_in_what_came_is_told(data: bytes, offset: int) -> None:
    """A Close frame goes exactly there; the stream began at a boundary."""
    assert Frames().feed(data) == offset


def test_amid_a_frame_there_is_no_boundary() -> None:
    """Then the caller forwards and waits."""
    follower = Frames()
    follower.feed(frame(1000)[:10])
    assert follower.feed(bytes(500)) is None
    assert not follower.at_boundary


@pytest.mark.parametrize(
    ("pieces", "seen"),
    [
        ([close_frame(1000)], True),
        ([close_frame(1000, b"mask")], True),
        ([frame(300), close_frame(1000)[:1]], True),
        ([frame(300) + close_frame(1000)[:1], close_frame(1000)[1:]], True),
        ([frame(8, opcode=0x9), b"\x82\x04\x88\x02\x88\x02"], False),
        ([frame(300)[:150], b"\x88" * 153], False),
    ],
)
def test_a_close_frame_is_noticed_as_soon_as_it_begins(pieces: list[bytes], *, seen: bool) -> None:
    """Two Close frames in one direction break the protocol; a payload that looks like one does not count."""
    follower = Frames()
    for piece in pieces:
        follower.feed(piece)
    assert follower.close_seen is seen


def test_a_close_frame_is_masked_only_towards_a_server() -> None:
    """RFC 6455 section 5.1."""
    assert close_frame(1012) == b"\x88\x02\x03\xf4"
    assert close_frame(1012, b"\x01\x02\xff\xff") == b"\x88\x82\x01\x02\xff\xff\x02\xf6"
    assert Frames().feed(close_frame(1012, b"mask")) == 8
