"""What clients notice of a tenant that moves to and fro under load, and of a cell that is emptied."""

import asyncio
import math
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from console.platform.platform import Platform
from console.platform.settings import SYSTEM_PORTS, UpSettings
from loadtests.migration.load import Load, Written, running
from loadtests.operator import Operator

MOVING_PER_SECOND, OTHER_PER_SECOND = 200.0, 20.0
WARM_SECONDS = 10.0
"""Of load before anything is measured."""
BEFORE_SECONDS = 30.0
"""Without any move, to compare with."""
MOVE_SECONDS = 120.0
AROUND_SECONDS = 0.5
"""Around a switch, what is not counted as outside of it."""
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Tenant:
    """One on the platform."""

    tenant_id: str
    load: Load


class Fleet:
    """A platform of two cells, called over HTTP as operators and tenants do."""

    def __init__(self, platform: Platform, session: aiohttp.ClientSession) -> None:
        self._platform, self._session = platform, session
        self.call = Operator(session, platform.url("placement"), platform.operator_token).call

    async def tenant(self, name: str, per_second: float) -> Tenant:
        """A new one in cell-1."""
        body = await self.call("POST", "/v1/tenants", {"tenant_id": name, "display_name": name})
        url = f"{self._platform.url('router')}/t/{name}"
        load = Load(self._session, url, body["api_key"], per_second)
        await load.prepare()
        return Tenant(name, load)

    async def move(self, tenant_id: str, cell_id: str) -> str:
        """Begin; its name."""
        move = await self.call("POST", "/v1/moves", {"tenant_id": tenant_id, "destination": cell_id})
        return str(move["move_id"])

    async def until(self, move_id: str, phase: str) -> Any:
        """The move, once it is there."""
        async with asyncio.timeout(MOVE_SECONDS):
            while (move := await self.call("GET", f"/v1/moves/{move_id}"))["phase"] != phase:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)
        return move

    async def finish(self, move_id: str) -> Any:
        """Wait for the switch, close the way back, wait for the end; the move."""
        move = await self.until(move_id, "REVERSIBLE")
        await self.call("POST", f"/v1/moves/{move_id}:confirm")
        await self.until(move_id, "DONE")
        return move

    async def switch_times(self, move_id: str) -> tuple[float, float]:
        """Of the last fence and of the activation, by the system's clock."""
        events = (await self.call("GET", f"/v1/moves/{move_id}/events?page_size=1000"))["events"]
        times = {event["phase"]: datetime.fromisoformat(event["time"]).timestamp() for event in events}
        return times["FENCING"], times["ACTIVATED"]


async def measure(folder: Path, moves: int) -> dict[str, Any]:
    """One tenant moves so many times under load, beside one that stays."""
    async with AsyncExitStack() as stack:
        fleet = await _fleet(stack, folder)
        mover, other = (
            await fleet.tenant("mover", MOVING_PER_SECOND),
            await fleet.tenant("stays", OTHER_PER_SECOND),
        )
        await fleet.call("POST", "/v1/cells/cell-2:open")
        async with running(mover.load, other.load):
            await asyncio.sleep(WARM_SECONDS)
            mover.load.written.clear()
            other.load.written.clear()
            await asyncio.sleep(BEFORE_SECONDS)
            began = time.time()
            switches, by_mover = [], []
            for number in range(moves):
                move_id = await fleet.move("mover", f"cell-{2 - number % 2}")
                move = await fleet.finish(move_id)
                switches.append(await fleet.switch_times(move_id))
                by_mover.append(float(move["pause_ms"]))
        moving, still = mover.load, other.load
    pauses = sorted(pause_ms(moving.written, *switch) for switch in switches)
    failed = moving.failed() + still.failed()
    return {
        "moves": moves,
        "writes_per_second": MOVING_PER_SECOND,
        "writes": len(moving.written) + len(still.written),
        "pause_p50_ms": _quantile(pauses, 0.5),
        "pause_p99_ms": _quantile(pauses, 0.99),
        "pause_max_ms": pauses[-1],
        "pause_by_mover_p50_ms": _quantile(sorted(by_mover), 0.5),
        "failed_requests": failed.total(),
        "failed": {str(status): count for status, count in failed.items()},
        **_ratios("moving", moving.written, began, switches),
        **_ratios("others", still.written, began, []),
    }


def pause_ms(written: Sequence[Written], fenced: float, activated: float) -> float:
    """What the slowest write waited that was due, or still unanswered, while nobody could write."""
    hit = [each.seconds for each in written if each.due <= activated and each.due + each.seconds >= fenced]
    return round(max(hit, default=0.0) * 1000, 1)


def _ratios(
    name: str, written: Sequence[Written], began: float, switches: Sequence[tuple[float, float]]
) -> dict[str, float]:
    """p99 before the first move, and between the moves' switches."""
    before = sorted(each.seconds for each in written if each.due < began - 1.0)
    during = sorted(
        each.seconds
        for each in written
        if each.due >= began
        and not any(start - AROUND_SECONDS <= each.due <= end + AROUND_SECONDS for start, end in switches)
    )
    one, other = _quantile(before, 0.99), _quantile(during, 0.99)
    return {
        f"{name}_p99_before_ms": round(one * 1000, 1),
        f"{name}_p99_ms": round(other * 1000, 1),
        f"{name}_p99_ratio": round(other / one, 2) if one else 0.0,
    }


async def evacuate(folder: Path, tenants: int) -> dict[str, Any]:
    """So many small tenants leave a cell at once, each written to now and then."""
    async with AsyncExitStack() as stack:
        fleet = await _fleet(stack, folder)
        crowd = [await fleet.tenant(f"small-{number}", 1.0) for number in range(tenants)]
        await fleet.call("POST", "/v1/cells/cell-2:open")
        async with running(*(each.load for each in crowd)):
            began = time.perf_counter()
            names = [await fleet.move(each.tenant_id, "cell-2") for each in crowd]
            moves = [await fleet.until(name, "REVERSIBLE") for name in names]
            seconds = time.perf_counter() - began
            switches = [await fleet.switch_times(name) for name in names]
    pauses = sorted(pause_ms(each.load.written, *switch) for each, switch in zip(crowd, switches, strict=True))
    failed = sum((each.load.failed() for each in crowd), start=type(crowd[0].load.failed())())
    by_mover = sorted(float(move["pause_ms"]) for move in moves)
    return {
        "evacuated": tenants,
        "evacuation_seconds": round(seconds, 1),
        "evacuation_pause_p50_ms": _quantile(pauses, 0.5),
        "evacuation_pause_p99_ms": _quantile(pauses, 0.99),
        "evacuation_pause_by_mover_p50_ms": _quantile(by_mover, 0.5),
        "evacuation_failed_requests": failed.total(),
    }


async def _fleet(stack: AsyncExitStack, folder: Path) -> Fleet:
    """Everybody who comes is put into cell-1, for cell-2 is cordoned."""
    platform = await stack.enter_async_context(Platform(folder / "platform", 2, UpSettings(**SYSTEM_PORTS)))
    connector = aiohttp.TCPConnector(limit=0)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
    fleet = Fleet(platform, session)
    await fleet.call("POST", "/v1/cells/cell-2:cordon")
    return fleet


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank: `share` of them are no larger."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
