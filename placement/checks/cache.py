"""What routers read is what the directory says."""

import asyncio

from directory.control.contract import Check
from directory.errors import BadSnapshot, Gap
from directory.redis_feed import RedisFeed
from directory.truth import Directory
from directory.values import CellEntry, Snapshot, TenantEntry

CATCH_UP_SECONDS = 3.0
LOOK_SECONDS = 0.02
READ_WAIT_SECONDS = 0.05
SHOWN = 5
REFILL = "delete the key cellway:seq in the directory's Redis: placement then fills the cache anew"


async def policy(feed: RedisFeed) -> list[Check]:
    """Redis must refuse writes when it is full, never drop what it has."""
    found = await feed.eviction_policy()
    remedy = "" if found == "noeviction" else "set maxmemory-policy to noeviction, and give Redis more memory"
    return [Check(name="directory redis keeps everything", ok=not remedy, detail=f"policy {found}", remedy=remedy)]


async def contents(directory: Directory, feed: RedisFeed) -> list[Check]:
    """Changes reach the cache, and a router that starts now knows exactly what the directory knows."""
    truth = await directory.snapshot()
    published = await _published(feed, truth)
    if published is None or published < truth.seq:
        remedy = "see the log of placement: its task `publish` says what keeps it"
        detail = f"the cache is at change {published}, the directory at {truth.seq}"
        return [Check(name="changes reach the cache", ok=False, detail=detail, remedy=remedy)]
    reached = Check(name="changes reach the cache", ok=True, detail=f"change {published}")
    return [reached, await _equal(truth, feed), await _look_ups(truth, feed)]


async def _published(feed: RedisFeed, truth: Snapshot) -> int | None:
    """The number of the last change in the cache, as soon as it is the truth's or more, or the time is over."""
    loop = asyncio.get_running_loop()
    end = loop.time() + CATCH_UP_SECONDS
    while (last := await feed.published(truth.identity)) is None or last < truth.seq:
        if loop.time() > end:
            break
        await asyncio.sleep(LOOK_SECONDS)
    return last


async def _equal(truth: Snapshot, feed: RedisFeed) -> Check:
    name = "the cache equals the directory"
    try:
        cached = await feed.snapshot()
        if cached is None:
            return Check(name=name, ok=False, detail="there is no snapshot", remedy=REFILL)
        if cached.identity != truth.identity:
            return Check(name=name, ok=False, detail="the snapshot is of another directory", remedy=REFILL)
        if cached.seq > truth.seq:
            return Check(name=name, ok=True, detail="a later snapshot was just written; ask again to compare")
        cells, tenants = dict(cached.cells), dict(cached.tenants)
        await _follow(feed, cached, truth.seq, cells, tenants)
    except (BadSnapshot, Gap) as error:
        return Check(name=name, ok=False, detail=str(error), remedy=REFILL)
    wrong = _differences(truth, cells, tenants)
    detail = f"differs in {', '.join(wrong[:SHOWN])}" if wrong else f"{len(tenants)} tenants, {len(cells)} cells"
    return Check(name=name, ok=not wrong, detail=detail, remedy=REFILL if wrong else "")


async def _look_ups(truth: Snapshot, feed: RedisFeed) -> Check:
    """What routers ask when they do not know a tenant."""
    last, count = await feed.look_up_count()
    ok = last != truth.seq or count == len(truth.tenants)
    detail = f"{count} tenants at change {last}"
    return Check(name="every tenant can be looked up", ok=ok, detail=detail, remedy="" if ok else REFILL)


async def _follow(
    feed: RedisFeed, cached: Snapshot, until: int, cells: dict[str, CellEntry], tenants: dict[str, TenantEntry]
) -> None:
    """Bring what the snapshot says to change `until`, as a starting router does. Gap."""
    after = cached.seq
    while after < until:
        changes = await feed.changes(cached.identity, after, READ_WAIT_SECONDS)
        if not changes:
            raise Gap(f"the stream ends at {after}, before {until}")
        for change in changes:
            if change.seq <= until:
                _apply(change.entry, cells, tenants)
        after = changes[-1].seq


def _apply(entry: CellEntry | TenantEntry, cells: dict[str, CellEntry], tenants: dict[str, TenantEntry]) -> None:
    if isinstance(entry, CellEntry):
        cells[entry.cell_id] = entry
    elif entry.cell_id is None:
        tenants.pop(entry.tenant_id, None)
    else:
        tenants[entry.tenant_id] = entry


def _differences(truth: Snapshot, cells: dict[str, CellEntry], tenants: dict[str, TenantEntry]) -> list[str]:
    wrong_cells = {name for name in cells.keys() | truth.cells.keys() if cells.get(name) != truth.cells.get(name)}
    names = tenants.keys() | truth.tenants.keys()
    wrong_tenants = {name for name in names if tenants.get(name) != truth.tenants.get(name)}
    return [f"cell {name}" for name in sorted(wrong_cells)] + [f"tenant {name}" for name in sorted(wrong_tenants)]
