"""One router and one cell for all of these tests: what one case leaves behind must not matter to the next.

It is gone before other tests of the router begin: what a process counts, it counts of one router.
"""

from collections.abc import AsyncIterator

import pytest

from tests.router.bytes.wire import Wire, wired


@pytest.fixture(scope="package")
async def wire() -> AsyncIterator[Wire]:
    """A router with one cell, of the tenants acme and beta."""
    async with wired() as made:
        yield made
