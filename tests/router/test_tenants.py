"""The tenants that are being served: bounded, and whoever is busy stays."""

from collections.abc import AsyncIterator

import pytest

from directory.values import Change, Rate, TenantEntry
from router.rules.silence import Patience
from router.table import Table
from router.tenants import MOST_CANDIDATES, Tenant, Tenants
from router.upstream.cells import Cells
from router.upstream.pool import Limits
from runtime.tasks import Tasks
from tests.router.upstreams import snapshot_of

NAMES = [f"tenant-{number}" for number in range(100)]


@pytest.fixture
def table() -> Table:
    made = Table()
    made.adopt(snapshot_of({"cell-1": "http://127.0.0.1:1"}, dict.fromkeys(NAMES, ("cell-1", 5))), "directory")
    return made


@pytest.fixture
async def cells(table: Table) -> AsyncIterator[Cells]:
    tasks = Tasks()
    made = Cells(table, Limits(), Patience(), tasks)
    yield made
    await made.close()
    await tasks.close()


def found(tenants: Tenants, number: int) -> Tenant:
    tenant = tenants.find(NAMES[number].encode(), 0.0)
    assert tenant is not None
    return tenant


async def test_no_more_are_kept_than_may_be(table: Table, cells: Cells) -> None:
    """Those who came last, when nobody is busy."""
    tenants = Tenants(table, cells, most=10)
    for number in range(100):
        found(tenants, number)
        assert len(tenants) <= 10
    assert list(tenants.active) == [name.encode() for name in NAMES[-10:]]


@pytest.mark.parametrize("sign", ["borrowed", "requests"])
async def test_whoever_is_busy_is_not_dropped(table: Table, cells: Cells, sign: str) -> None:
    """It keeps its bucket, and what it borrowed still counts; the idle ones around it come and go."""
    tenants = Tenants(table, cells, most=10)
    busy = [found(tenants, number) for number in (0, 1, 2)]
    for tenant in busy:
        setattr(tenant, sign, 1)
    for number in range(3, 100):
        found(tenants, number)
        assert len(tenants) <= 10
    assert [found(tenants, number) for number in (0, 1, 2)] == busy


async def test_whoever_was_busy_is_dropped_in_its_turn(table: Table, cells: Cells) -> None:
    """Once it is not any more."""
    tenants = Tenants(table, cells, most=10)
    first = found(tenants, 0)
    first.borrowed = 1
    for number in range(1, 20):
        found(tenants, number)
    assert first in list(tenants)
    first.borrowed = 0
    for number in range(20, 40):
        found(tenants, number)
    assert first not in list(tenants)


async def test_there_is_room_even_when_all_are_busy(table: Table, cells: Cells) -> None:
    """The first goes, and the requests that nobody counted yet are not lost."""
    tenants = Tenants(table, cells, most=2 * MOST_CANDIDATES)
    first = found(tenants, 0)
    first.requests = 7
    for number in range(1, 2 * MOST_CANDIDATES):
        found(tenants, number).requests = 1
    found(tenants, 50)
    assert len(tenants) == 2 * MOST_CANDIDATES
    assert first not in list(tenants)
    assert (tenants.uncounted, first.requests) == (7, 0)


async def test_one_place_is_enough(table: Table, cells: Cells) -> None:
    """Whoever comes takes it, also from one who is busy."""
    tenants = Tenants(table, cells, most=1)
    found(tenants, 0).requests = 1
    found(tenants, 1).requests = 2
    assert list(tenants) == [found(tenants, 1)]
    assert tenants.uncounted == 1


async def test_requests_of_a_tenant_that_is_deleted_are_not_lost(table: Table, cells: Cells) -> None:
    """It is dropped as soon as somebody asks for it."""
    tenants = Tenants(table, cells)
    found(tenants, 0).requests = 3
    table.apply(Change(table.seq + 1, TenantEntry(NAMES[0], None, 6)))
    assert tenants.find(NAMES[0].encode(), 0.0) is None
    assert (len(tenants), tenants.uncounted) == (0, 3)


async def test_a_bucket_outlives_a_crowd_of_others(table: Table, cells: Cells) -> None:
    """A tenant cannot fill its own by making many others come."""
    table.apply(Change(table.seq + 1, TenantEntry(NAMES[0], "cell-1", 6, Rate(1.0, 5))))
    tenants = Tenants(table, cells, most=4)
    busy = found(tenants, 0)
    bucket = busy.bucket
    assert bucket is not None
    for number in range(1, 100):
        busy.requests += 1
        found(tenants, number)
    assert found(tenants, 0).bucket is bucket
