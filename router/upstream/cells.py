"""All cells that this router sends to: their pools, and the watch for those that fall silent."""

import asyncio
from time import monotonic

from directory.resolver import CheckedResolver
from router import metrics
from router.errors import Unreached
from router.outbox import Outbox
from router.rules.breaker import State
from router.rules.decide import Outcome
from router.rules.silence import Patience, Verdict, verdict
from router.table import Table
from router.tls import Trust
from router.upstream.pool import Limits, Pool
from runtime.tasks import Tasks

TICK_SECONDS = 0.1
SWEEP_SECONDS = 1.0
PROBE_SECONDS = 2.0
"""After this a probe is given up and the next one begins with a new connection."""


class Cells:
    """cell → pool. A pool takes requests while its cell has that address, and lives until the last one ended."""

    def __init__(
        self, table: Table, limits: Limits, patience: Patience, tasks: Tasks, trust: Trust | None = None
    ) -> None:
        self._table, self._limits, self._patience, self._tasks, self._trust = table, limits, patience, tasks, trust
        self.outbox = Outbox(asyncio.get_running_loop().call_soon)
        self._pools: dict[str, Pool] = {}
        self._leaving: list[Pool] = []
        """Of addresses that cells had before, for which somebody may still wait."""
        self._resolver = CheckedResolver()
        self._ticked_at = asyncio.get_running_loop().time()
        self._swept_at = self._ticked_at

    def pool(self, cell_id: str) -> Pool:
        """The pool of a cell. Unreached when the table has no address for it."""
        pool = self._pools.get(cell_id)
        cell = self._table.cell(cell_id)
        if cell is None:
            raise Unreached(Outcome.REFUSED, "the directory has no address for it")
        if pool is None or pool.address != cell.address:
            if pool is not None:
                pool.close()
                self._leaving.append(pool)
            pool = self._pools[cell_id] = Pool(cell, self._limits, self._resolver, self._trust, self.outbox)
        return pool

    @property
    def pools(self) -> list[Pool]:
        """The pools of the addresses that cells have now."""
        return list(self._pools.values())

    def suspects(self) -> list[str]:
        """Cells that do not answer just now, or fail for several of their tenants."""
        return sorted(
            pool.cell_id for pool in self.pools if pool.state == "stopped" or pool.breaker.state is State.OPEN
        )

    @property
    def leaving(self) -> list[Pool]:
        """The pools of earlier addresses, until their last request ended."""
        return list(self._leaving)

    async def watch(self) -> None:
        """Look at every cell for which somebody waits; called again and again."""
        await asyncio.sleep(TICK_SECONDS)
        now = asyncio.get_running_loop().time()
        stood_still = now - self._ticked_at - TICK_SECONDS
        self._ticked_at = now
        for pool in (*self.leaving, *self.pools):
            if stood_still > TICK_SECONDS:
                pool.forgive(stood_still)
            self._judge(pool)
            pool.sweep(monotonic())
            pool.adapt(monotonic())
        if now - self._swept_at > SWEEP_SECONDS:
            self._swept_at = now
            self._sweep()

    def _judge(self, pool: Pool) -> None:
        found = verdict(
            stopped=pool.state == "stopped",
            waiting=pool.waiting > 0,
            silent_seconds=pool.silent_seconds,
            patience=self._patience,
        )
        if found is Verdict.STOPPED:
            pool.stop_waiting()
        if found is not Verdict.NOTHING and not pool.probing:
            pool.probing = True
            self._tasks.spawn("probe", pool.probe(PROBE_SECONDS))

    def _sweep(self) -> None:
        self._leaving = [pool for pool in self._leaving if pool.used]
        for pool in self.pools:
            pool.close_idle()
            pool.show()
            if self._table.cell(pool.cell_id) is None and not pool.used:
                del self._pools[pool.cell_id]
                metrics.forget_cell(pool.cell_id)

    async def close(self) -> None:
        """Close every connection that is idle."""
        for pool in self.pools:
            pool.close()
        await self._resolver.close()
