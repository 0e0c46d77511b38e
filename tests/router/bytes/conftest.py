"""One router and one cell for all of these tests: what one case leaves behind must not matter to the next."""

from collections.abc import AsyncIterator

import pytest

from tests.router.bytes.wire import Wire, wired


@pytest.fixture(scope="session")
async def wire() -> AsyncIterator[Wire]:
    """A router with one cell, of the tenants acme and beta."""
    async with wired() as made:
        yield made
