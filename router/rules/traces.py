"""Which trace a request belongs to (W3C Trace Context, level 1 and 2). Pure.

The router makes no spans, so a valid `traceparent` is passed on untouched, and `tracestate` with it: to name
ourselves the parent of the cell's spans would point at a span that nobody ever sees. A `traceparent` that is
invalid, missing or given twice is dropped with its `tracestate`, and a fresh one begins a trace, so that the logs
of router and cell can always be joined. A `tracestate` that is invalid falls alone.
"""

import re
from collections.abc import Iterable
from typing import Final

_IDS: Final = rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_PARENT: Final = re.compile(rb"(?:00" + _IDS + rb"|(?!00|ff)[0-9a-f]{2}" + _IDS + rb"(?:-[\x21-\x7e]*)?)")
"""Of later versions all is unknown but that they begin like this one ("Versioning of traceparent")."""
_MEMBER: Final = re.compile(
    rb"([a-z0-9][a-z0-9_\-*/@]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
MOST_MEMBERS: Final = 32


def valid_parent(value: bytes) -> bool:
    """Whether `value` is a `traceparent` that is passed on."""
    return _PARENT.fullmatch(value) is not None


def fresh_parent(digits: bytes) -> bytes:
    """A `traceparent` that begins a trace, from 32 random hexadecimal digits, neither half of which is all zeros.

    Its flags are 02: a random trace id (level 2), not sampled. We record nothing ourselves, and to say "sampled"
    would have every cell record every request. Whether a trace is kept is for a cell's own sampler to decide.
    """
    return b"00-%b-%b-02" % (digits, digits[16:])


def valid_state(values: Iterable[bytes]) -> bool:
    """Whether all the lines of `tracestate` together are one list of at most 32 members, none named twice."""
    members = [member for line in values for part in line.split(b",") if (member := part.strip(b" \t"))]
    matches = [_MEMBER.fullmatch(member) for member in members]
    names = {match[1] for match in matches if match}
    return len(members) <= MOST_MEMBERS and len(names) == len(members)
