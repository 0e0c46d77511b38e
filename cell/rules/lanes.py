"""The lanes in which work waits: what somebody waits for never stands behind what can wait. Pure."""

from collections.abc import Sequence
from typing import Literal, get_args

Lane = Literal["interactive", "bulk"]
LANES: Sequence[Lane] = get_args(Lane)
MOST_WAITING = 1000
"""Of a tenant in a lane: who asks for more is told to come back later."""
