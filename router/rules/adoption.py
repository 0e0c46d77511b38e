"""Which snapshots of the directory are not believed. Pure.

A router that serves from its memory outlives every store. It must not be talked out of that memory by a store that
was emptied, restored from last week, or belongs to somebody else.
"""

from dataclasses import dataclass
from enum import Enum

from directory.values import Snapshot


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


def doubt(known: Snapshot | None, offered: Snapshot, caution: Caution) -> Doubt | None:
    """Why `offered` must not replace `known`; None when it may."""
    if known is None:
        return None
    if offered.identity != known.identity:
        return Doubt.FOREIGN
    if offered.seq < known.seq:
        return Doubt.OLDER
    if known.tenants and not offered.tenants:
        return Doubt.EMPTY
    vanishing = len(known.tenants.keys() - offered.tenants.keys())
    if len(known.tenants) >= caution.floor_tenants and vanishing > caution.vanishing_share * len(known.tenants):
        return Doubt.SHRUNK
    return None
