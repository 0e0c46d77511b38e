"""What registry, routers and placement say of a cell is joined; none of them alone is believed."""

import asyncio

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from directory.errors import Unavailable
from directory.memory_registry import MemoryRegistry
from directory.redis_registry import RedisRegistry
from directory.registry import Instance
from placement.reach import Reach
from placement.rules.standing import Standing, Verdict, standings
from placement.witnesses import BELIEVED_SECONDS, Witnesses
from runtime.clock import ManualClock
from runtime.tasks import Tasks
from tests.placement.conftest import Client
from tests.waiting import eventually


def _cell(number: int, cell_id: str = "cell-1", trouble: str = "") -> Instance:
    return Instance("cell", f"api-{number}", "127.0.0.1", 1, 2, {"cell": cell_id}, trouble)


def _router(number: int, *suspects: str) -> Instance:
    return Instance("router", f"router-{number}", "127.0.0.1", 1, 2, suspects=suspects)


@pytest.mark.parametrize(
    ("standing", "verdict"),
    [
        (Standing("cell-1"), "well"),
        (Standing("cell-1", processes=2, routers=2), "well"),
        (Standing("cell-1", "no answer"), "doubtful"),
        (Standing("cell-1", processes=0), "doubtful"),
        (Standing("cell-1", processes=2, troubles=("schema",)), "doubtful"),
        (Standing("cell-1", processes=2, suspected_by=1, routers=2), "doubtful"),
        (Standing("cell-1", suspected_by=2, routers=2), "doubtful"),
        (Standing("cell-1", "no answer", processes=0), "down"),
        (Standing("cell-1", processes=1, troubles=("schema",), suspected_by=2, routers=2), "down"),
        (Standing("cell-1", "no answer", processes=2, suspected_by=2, routers=2), "down"),
    ],
)
def test_a_cell_is_down_when_two_kinds_of_witnesses_agree(standing: Standing, verdict: Verdict) -> None:
    """One alone makes it doubtful: whoever sees nothing may be the one that is cut off."""
    assert standing.verdict == verdict
    assert bool(standing.reasons) is (verdict != "well")


def test_a_registry_without_cells_says_nothing_of_them() -> None:
    """Cells announce themselves in Consul alone; where there is none, that none is seen means nothing."""
    found = standings(["cell-1", "cell-2"], {}, [], [])
    assert [found[name].processes for name in ("cell-1", "cell-2")] == [None, None]
    found = standings(
        ["cell-1", "cell-2"], {}, [_cell(1), _cell(2, trouble="redis: away")], [_router(1, "cell-2")]
    )
    assert (found["cell-1"].processes, found["cell-1"].troubles) == (2, ("redis: away",))
    assert (found["cell-2"].processes, found["cell-2"].suspected_by, found["cell-2"].routers) == (0, 1, 1)


async def test_witnesses_are_followed_and_outlive_a_registry_that_is_away() -> None:
    """For a while; then nobody can tell, which is not the same as that nobody is there."""
    clock, registry = ManualClock(), _Leaving()
    witnesses, tasks = Witnesses(registry, Reach(clock), clock), Tasks(clock)
    await registry.announce(_cell(1))
    await registry.announce(_router(1, "cell-1"))
    await witnesses.cells.step()
    await witnesses.routers.step()
    assert witnesses.standings(["cell-1"])["cell-1"].processes == 1
    registry.is_away = True
    tasks.keep("cells", witnesses.cells.step)
    tasks.keep("routers", witnesses.routers.step)
    clock.advance(BELIEVED_SECONDS / 2)
    assert witnesses.standings(["cell-1"])["cell-1"] == Standing("cell-1", None, 1, (), 1, 1)
    clock.advance(BELIEVED_SECONDS)
    assert witnesses.standings(["cell-1"])["cell-1"] == Standing("cell-1")
    await tasks.close()
    await witnesses.close()


async def test_a_registry_that_is_away_is_asked_in_good_time_and_told_once_in_a_while() -> None:
    """Within ten minutes a few lines, and no more questions than one a second; then a line that it is back."""
    clock, registry = ManualClock(), _Leaving()
    witnesses, tasks = Witnesses(registry, Reach(clock), clock), Tasks(clock)
    registry.is_away = True
    with capture_logs() as lines:

        def told() -> list[EventDict]:
            """Not what a platform that other tests have asked for tells meanwhile."""
            return [line for line in lines if line.get("what") == "registry"]

        tasks.keep("cells", witnesses.cells.step)
        for _ in range(1200):
            clock.advance(0.5)
            for _ in range(5):
                await asyncio.sleep(0)
        assert 120 <= registry.asked <= 600
        assert [line["service"] for line in told()] in (["cell"] * 4, ["cell"] * 5)
        assert {line["event"] for line in told()} == {"away"}
        registry.is_away = False

        def is_back() -> bool:
            clock.advance(1)
            return told()[-1]["event"] == "back"

        await eventually(is_back)
    await tasks.close()
    await witnesses.close()


class _Leaving(MemoryRegistry):
    """One that can be away."""

    is_away, asked = False, 0

    async def instances(self, service: str) -> "list[Instance]":
        self.asked += 1
        if self.is_away:
            raise Unavailable("away")
        return [instance for _, instance in self._seen.values() if instance.service == service]


@pytest.mark.usefixtures("cell")
async def test_the_doctor_tells_what_speaks_against_a_cell(placement: Client, redis_url: str) -> None:
    """A router that suspects it is enough for people to look."""
    registry = RedisRegistry(redis_url)
    await registry.announce(_router(1, "cell-1"))

    async def line() -> str | None:
        checks = (await placement("GET", "/v1/checks")).body["checks"]
        found = next(check for check in checks if "routers" in check["name"])
        return None if found["ok"] else str(found["detail"])

    assert "1 of 1 routers get no answers" in str(await eventually(line))
    await registry.withdraw(_router(1))
    await registry.close()
