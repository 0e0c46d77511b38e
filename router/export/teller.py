"""Keeps a running HAProxy like the ledger, over one connection.

    away ── connect ──▶ take stock ──▶ told ── a change ──▶ tell ──▶ told
      ▲                                  │
      └── the connection broke, HAProxy was restarted or reloaded, or it refused a command ──┘

Taking stock reads all that HAProxy holds and tells it what differs, so it does not matter what happened meanwhile:
a new process has the files, which may be some seconds old; the one that we knew has what it was told.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence

from router.export import told
from router.export.errors import NotTold, SocketAway
from router.export.ledger import Ledger
from router.export.plan import GONE, Plan, Server
from router.export.resolving import Servers
from router.export.runtime_socket import Process, RuntimeSocket
from runtime import logs

log = logs.get("router.export.teller")

LOOK_SECONDS = 0.25
"""How often HAProxy is asked whether it is still the one that we know."""
TIDY_SECONDS = 5.0
"""How often servers that no cell has any more are removed, once they have no connection left."""
REFUSED_SECONDS = 5.0
"""How long to rest after HAProxy refused the same thing twice."""
MOST_RECENT = 20_000
"""Entries in `recent` before `base` is filled anew. A change in it costs HAProxy half a millisecond then."""
MOST_SINGLY = 400
"""Entries of `recent` that are changed one by one. To change one costs HAProxy 25 ns for each entry that is there,
to put them all anew 10 µs for each: from here on, that is less."""
AT_ONCE = 8
"""Commands with which `base` is filled before what changed meanwhile is told: some 30 ms of HAProxy's time."""
MOST_AT_ONCE = 500
"""Commands that are sent before their answers are read."""


class Teller:
    """`runtime.tasks` calls `step` again and again."""

    def __init__(self, plan: Plan, ledger: Ledger, servers: Servers) -> None:
        self._plan, self._ledger, self._servers = plan, ledger, servers
        self._folder = plan.folder
        self._socket = RuntimeSocket(plan.folder.socket)
        self.process: Process | None = None
        """The HAProxy that holds what the ledger says; None while there is none."""
        self._recent: dict[str, str] = {}
        self._cells: dict[str, str] = {}
        self._there: set[str] = set()
        """Servers that HAProxy has."""
        self._refused: set[str] = set()
        """Servers that this HAProxy will not have; the others must not wait for them."""
        self._trouble = ""
        self._since_fill: set[str] | None = None
        """Tenants told since `base` began to be filled anew; None while it is not."""
        self._tidied_at = self._looked_at = float("-inf")

    def __repr__(self) -> str:
        return f"<Teller {len(self._recent)} recent, {len(self._there)} servers, of {self.process}>"

    async def close(self) -> None:
        """Leave HAProxy as it is."""
        self.process = None
        await self._socket.close()

    # --- the loop ---

    async def step(self) -> None:
        """Tell what is new, or wait for it. When that fails, the next step begins with taking stock."""
        try:
            # Also while HAProxy is away: the files are kept all the same.
            await self._refresh()
            if self.process is None:
                await self._begin()
            await self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._ledger.news.wait()
            await self._tell()
            if len(self._recent) > MOST_RECENT:
                await self._fill_base()
        except SocketAway as error:
            await self._lost(str(error), LOOK_SECONDS)
        except NotTold as error:
            # Taking stock mends it, unless HAProxy will never obey: then it must not be asked all the time.
            await self._lost(str(error), REFUSED_SECONDS if str(error) == self._trouble else 0.0)

    async def _lost(self, reason: str, rest_seconds: float) -> None:
        """Let go, say so once, and rest a little."""
        if reason != self._trouble:
            log.warning("haproxy_away", reason=reason, pid=None if self.process is None else self.process.pid)
        self._trouble = reason
        await self.close()
        await asyncio.sleep(rest_seconds)

    async def _begin(self) -> None:
        """Connect and take stock. SocketAway also while there is no table: nothing is known to be wrong then."""
        await self._socket.connect()
        process = await self._socket.process()
        if process.stopping:
            raise SocketAway(f"HAProxy {process.pid} is stopping")
        while not self._ledger.filled:
            if self._socket.replaced:
                raise SocketAway("HAProxy was restarted before there was a table")
            await asyncio.sleep(LOOK_SECONDS)
        await self._refresh()
        started = time.monotonic()
        differing = await self._take_stock()
        self.process, self._looked_at, self._trouble = process, time.monotonic(), ""
        seconds = round(time.monotonic() - started, 3)
        log.info("haproxy_current", pid=process.pid, differing=differing, seconds=seconds)

    async def _look(self) -> None:
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        if self._socket.replaced:
            raise SocketAway("HAProxy was restarted or reloaded")
        process = await self._socket.process()
        if process != self.process:
            raise SocketAway(f"HAProxy is another one now: {process}")

    async def _refresh(self) -> None:
        if self._ledger.filled:
            await self._servers.refresh(self._ledger.cells)

    # --- what is told ---

    async def _take_stock(self) -> int:
        """How many tenants differed."""
        self._ledger.take()
        self._since_fill = None
        folder = self._folder
        stock = [
            f"show map {folder.cells}",
            f"show map {folder.recent}",
            f"show map {folder.base}",
            "show servers state cells",
        ]
        of_cells, of_recent, of_base, of_servers = await self._socket.ask(stock)
        self._cells, self._recent = dict(told.entries(of_cells)), dict(told.entries(of_recent))
        self._there, self._refused = set(told.servers(of_servers)), set()
        differing = await asyncio.to_thread(_differing, dict(self._ledger.homes), of_base, dict(self._recent))
        await self._tell_servers()
        if len(differing) > MOST_RECENT:
            await self._fill_base()
        else:
            await self._tell_homes(differing)
        return len(differing)

    async def _tell(self) -> None:
        # Cleared first: what comes meanwhile sets it again, and is told next time.
        self._ledger.news.clear()
        await self._refresh()
        await self._tell_servers()
        await self._tell_homes(self._ledger.take())
        if time.monotonic() - self._tidied_at > TIDY_SECONDS:
            self._tidied_at = time.monotonic()
            await self._remove_servers()

    async def _tell_servers(self) -> None:
        """New servers first, so that what maps name is there; whatever is named no more may go later."""
        servers = {
            cell: server for cell, server in self._servers.known.items() if server.name not in self._refused
        }
        if {cell: server.name for cell, server in servers.items()} == self._cells:
            return
        for server in servers.values():
            if server.name not in self._there:
                await self._add(server)
        wanted = {cell: server.name for cell, server in servers.items() if server.name in self._there}
        new = {cell: name for cell, name in wanted.items() if cell not in self._cells}
        other = {cell: name for cell, name in wanted.items() if self._cells.get(cell, name) != name}
        gone = [f"del map {self._folder.cells} {cell}" for cell in self._cells.keys() - wanted.keys()]
        path = self._folder.cells
        await self._order([*told.filled(path, new.items()), *told.changed(path, other.items()), *gone])
        self._cells = wanted

    async def _add(self, server: Server) -> None:
        commands = told.added(server, self._plan.settings)
        refused = told.failures(commands, await self._socket.ask(commands), ["New server registered."])
        if refused:
            self._refused.add(server.name)
            log.error("server_refused", cell=server.cell_id, reason=refused[0])
        else:
            self._there.add(server.name)
            log.info("server_added", cell=server.cell_id, server=server.name)

    async def _remove_servers(self) -> None:
        for name in sorted(self._there - {server.name for server in self._servers.known.values()}):
            said = await self._socket.ask(told.removed(name))
            if said[-1] == "Server deleted.":
                self._there.discard(name)
                log.info("server_removed", server=name)

    async def _tell_homes(self, tenants: Iterable[str]) -> None:
        homes = {tenant: self._ledger.home(tenant) for tenant in tenants}
        if self._since_fill is not None:
            self._since_fill.update(homes)
        path = self._folder.recent
        new = [(tenant, home) for tenant, home in homes.items() if tenant not in self._recent]
        other = [(tenant, home) for tenant, home in homes.items() if self._recent.get(tenant, home) != home]
        self._recent.update(homes)
        if len(other) > MOST_SINGLY:
            await self._replace(path, self._recent.items())
        else:
            await self._order([*told.changed(path, other), *told.filled(path, new)])

    async def _replace(self, path: object, entries: Iterable[tuple[str, str]]) -> None:
        """Put other entries into a map, all at once."""
        version = await self._prepared(path)
        await self._order([*told.filled(path, list(entries), version), f"commit map @{version} {path}"])

    async def _fill_base(self) -> None:
        """Fill `base` anew beside the old one, put it in its place, and keep in `recent` what came meanwhile."""
        started = time.monotonic()
        self._since_fill = set()
        version = await self._prepared(self._folder.base)
        commands = told.filled(self._folder.base, self._homes_now(), version)
        for batch in _batches(commands, AT_ONCE):
            await self._order(batch)
            await self._tell()
        await self._order([f"commit map @{version} {self._folder.base}"])
        left = {tenant: self._ledger.home(tenant) for tenant in self._since_fill}
        self._since_fill = None
        await self._replace(self._folder.recent, left.items())
        self._recent = left
        log.info("base_filled", tenants=len(self._ledger.homes), seconds=round(time.monotonic() - started, 3))

    def _homes_now(self) -> Iterator[tuple[str, str]]:
        # The names of now, each with its home when it is its turn; names that come meanwhile are in `recent`.
        for tenant in list(self._ledger.homes):
            home = self._ledger.home(tenant)
            if home != GONE:
                yield tenant, home

    async def _prepared(self, path: object) -> int:
        [answer] = await self._socket.ask([f"prepare map {path}"])
        version = told.version(answer)
        if version is None:
            raise NotTold(f"prepare map {path}: {answer}")
        return version

    async def _order(self, commands: Sequence[str]) -> None:
        for batch in _batches(commands, MOST_AT_ONCE):
            refused = told.failures(batch, await self._socket.ask(batch))
            if refused:
                raise NotTold(f"HAProxy refused {len(refused)} commands, such as {refused[0]}")


def _batches(commands: Iterable[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for command in commands:
        batch.append(command)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _differing(homes: dict[str, str], of_base: str, recent: dict[str, str]) -> list[str]:
    """The tenants whose home HAProxy does not have as it is."""
    differing = [tenant for tenant, home in recent.items() if homes.get(tenant, GONE) != home]
    missing = homes.keys() - recent.keys()
    for tenant, home in told.entries(of_base):
        missing.discard(tenant)
        if tenant not in recent and homes.get(tenant) != home:
            differing.append(tenant)
    return [*differing, *missing]
