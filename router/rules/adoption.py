"""Which snapshots of the directory are not believed. Pure.

A router that serves from its memory outlives every store. It must not be talked out of that memory by a store that
was emptied, restored from last week, or belongs to somebody else.
"""

from dataclasses import dataclass
from enum import Enum


class Doubt(Enum):
    """Why a snapshot is refused."""

    FOREIGN = "it is of another directory"
    OLDER = "it is older than what is known"
    EMPTY = "it holds no tenant, and some are known"
    SHRUNK = "too many tenants vanish at once"


@dataclass(frozen=True, slots=True)
class Caution:
    """The largest share of tenants that may vanish at once, once `floor_tenants` are known."""

    vanishing_share: float = 0.5
    floor_tenants: int = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """Which directory, as of which change, and how many tenants."""

    identity: str
    seq: int
    tenants: int


def doubt(known: Standing | None, offered: Standing, vanishing: int, caution: Caution) -> Doubt | None:
    """Why `offered`, without `vanishing` of the known tenants, must not replace `known`; None when it may."""
    if known is None:
        return None
    if offered.identity != known.identity:
        return Doubt.FOREIGN
    if offered.seq < known.seq:
        return Doubt.OLDER
    if known.tenants and not offered.tenants:
        return Doubt.EMPTY
    if known.tenants >= caution.floor_tenants and vanishing > caution.vanishing_share * known.tenants:
        return Doubt.SHRUNK
    return None
