"""New cases from old ones."""

import random
from dataclasses import replace

from tests.router.bytes import (
    mutations,
    test_request_framing,
    test_request_headers,
    test_request_line,
    test_smuggling,
)
from tests.router.bytes import test_response_refused as refused
from tests.router.bytes.messages import CHUNKED, CRLF, LAST, chunks, post, request, response, sized
from tests.router.bytes.mutations import ODD_BYTES, REQUEST_LINES, REQUESTS, RESPONSE_LINES, RESPONSES, SEPARATORS
from tests.router.fuzz.case import Case, Mood

MOST_BYTES = 40_000
UPGRADE = (b"Upgrade: websocket", b"Connection: Upgrade")
NONCE = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""Both from RFC 6455 section 1.3."""
HANDSHAKE = request(*UPGRADE, NONCE, b"Sec-WebSocket-Version: 13")
FRAMES = b"\x81\x82\0\0\0\0hi\x88\x80\0\0\0\0"
LARGE = post(b"Content-Length: 300", body=b"x" * 300)
"""More than the router keeps here for a second attempt."""
SAID = [
    HANDSHAKE,
    HANDSHAKE + FRAMES,
    request(line=b"HEAD /x HTTP/1.1"),
    request(b"Prefer: wait=10"),
    LARGE.replace(CRLF, b"\r\nExpect: 100-continue\r\n", 1),
    chunks(b"12c\r\n" + b"x" * 300 + b"\r\n" + LAST),
    request(line=b"PUT /x HTTP/1.1") + LARGE + request(),
]
"""What the router treats in ways of their own."""
SWITCHED = response(*UPGRADE, ACCEPT, line=b"HTTP/1.1 101 Switching Protocols", body=b"\x81\x02hi\x88\x00")
DISOWNED = sized(b"", line=b"HTTP/1.1 421 Misdirected Request")
ANSWERED = [
    SWITCHED,
    DISOWNED,
    sized(b"", b"Cellway-Epoch: 6", line=b"HTTP/1.1 421 Misdirected Request"),
    response(b"Content-Type: text/event-stream", CHUNKED, body=b"9\r\ndata: x\n\n\r\n"),
    response(b"Content-Type: text/event-stream", body=b"data: x\n\n"),
    sized(b"no", line=b"HTTP/1.1 401 Unauthorized"),
    sized(b"no", line=b"HTTP/1.1 503 Service Unavailable"),
    sized(b"x" * 30_000),
]
"""The same of a cell."""
NUMBERS = [b"0", b"1", b"4294967296", b"9223372036854775807", b"18446744073709551616", b"ffffffffffffffff", b"-1"]
MOODS = [*[Mood.ORDINARY] * 20, *[Mood.PATIENT] * 4, Mood.FLOOD, Mood.DEAF]
Lines = list[bytes]


def seeds() -> list[Case]:
    """What every hunt begins with: all that the tables of `tests.router.bytes` hold."""
    said = [
        *REQUESTS,
        *SAID,
        *test_request_framing.REFUSED.values(),
        *test_request_line.REFUSED.values(),
        *test_request_headers.REFUSED.values(),
        *test_smuggling.CLASSICS.values(),
    ]
    answers = [*RESPONSES, *ANSWERED, *refused.HEADS.values(), *refused.BODIES.values()]
    cases = [Case(data) for data in said if len(data) < MOST_BYTES]
    cases += [Case(REQUESTS[0], cell=data) for data in answers if len(data) < MOST_BYTES]
    cases += [Case(each, cell=data) for each in SAID for data in ANSWERED]
    return cases


def mutated(chance: random.Random, cases: list[Case]) -> Case:
    """One of the cases, changed a little."""
    case = chance.choice(cases)
    if case.cell and chance.random() < 0.7:
        case = replace(case, cell=_changed(chance, case.cell, RESPONSE_LINES, chance.choice(cases).cell))
    else:
        case = replace(case, client=_changed(chance, case.client, REQUEST_LINES, chance.choice(cases).client))
    if not case.cell and chance.random() < 0.1:
        case = replace(case, cell=chance.choice(RESPONSES))
    return replace(
        case,
        client_cuts=_cuts(chance, len(case.client)),
        cell_cuts=_cuts(chance, len(case.cell)),
        then=chance.choice(["close", "close", "reset", "keep"]),
        mood=chance.choice(MOODS),
    )


def _cuts(chance: random.Random, length: int) -> tuple[int, ...]:
    if chance.random() < 0.1 and length < 1000:
        return tuple(range(1, length))
    return tuple(sorted(chance.randrange(length + 1) for _ in range(chance.choice([0, 0, 1, 2, 5]))))


def _changed(chance: random.Random, data: bytes, lines: Lines, other: bytes) -> bytes:
    for _ in range(chance.choice([1, 1, 2, 3, 6])):
        data = _change(chance, data or b"\r\n", lines, other)
    return data[:MOST_BYTES]


def _change(chance: random.Random, data: bytes, lines: Lines, other: bytes) -> bytes:
    at, line = chance.randrange(len(data) + 1), chance.choice(lines)
    kind = chance.randrange(12)
    if kind == 0:
        return mutations.flip(data, at, chance.randrange(8))
    if kind == 1:
        return mutations.insert(data, at, chance.choice(ODD_BYTES))
    if kind == 2:
        return mutations.insert(data, at, chance.choice(SEPARATORS))
    if kind == 3:
        return mutations.remove(data, at, chance.choice([1, 2, 3, 10, 50]))
    if kind == 4:
        return mutations.replace_separator(data, at, chance.choice(SEPARATORS))
    if kind == 5:
        return mutations.double_line(data, at, line)
    if kind == 6:
        return mutations.replace_line(data, at, line)
    if kind == 7:
        return mutations.insert(data, at, chance.choice(NUMBERS))
    if kind == 8:
        return data[:at] + other[chance.randrange(len(other) + 1) :]
    if kind == 9:
        return data + other
    if kind == 10:
        end = min(len(data), at + chance.choice([1, 4, 40]))
        return data[:end] + data[at:end] * chance.choice([1, 10, 300]) + data[end:]
    return mutations.insert_line(data, chance.randrange(1, 6), line)
