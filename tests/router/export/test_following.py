"""A running HAProxy follows the table: no reload, the same process, within a second."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from directory.memory_feed import MemoryFeed
from directory.values import CellEntry, Change, TenantEntry
from router.export import teller, told
from router.export.app import Exporter
from router.export.errors import ExportFailed
from router.export.plan import Server
from router.export.runtime_socket import RuntimeSocket
from router.settings import RouterSettings
from tests.router.export.proxies import (
    OTHER_KEY,
    Export,
    Haproxy,
    exporter,
    following,
    program,
    seconds_until,
    short_folder,
)
from tests.router.upstreams import (
    IDENTITY,
    OK,
    Answer,
    FakeCell,
    Seen,
    ask,
    connected,
    get,
    move,
    serving,
    snapshot_of,
)
from tests.waiting import eventually

ACMES = get()
OTHERS, NOBODYS = (
    get("/x", key=key).replace(b"acme.api.localhost", b"127.0.0.1") for key in (OTHER_KEY, "ck_nobody_" + "k" * 43)
)


@dataclass
class Here:
    """Two cells; acme lives in the first, at epoch 5."""

    export: Export
    feed: MemoryFeed
    one: FakeCell
    two: FakeCell

    @property
    def haproxy(self) -> Haproxy:
        return self.export.haproxy

    async def epoch_at(self, cell: FakeCell) -> int | None:
        """The epoch with which a request of acme's reaches a cell now; None when it does not."""
        cell.seen.clear()
        answer = await self.haproxy.get()
        assert answer.status in (200, 503)
        return int(cell.seen[0].values(b"cellway-epoch")[0]) if cell.seen else None

    async def answered(self, request: bytes, status: int) -> Answer:
        """The answer to a request, once it has this status."""

        async def asked() -> Answer:
            answer = await ask(self.haproxy, request)  # type: ignore[arg-type]
            assert answer.status == status
            return answer

        return await eventually(asked)

    async def publish(self, entry: CellEntry | TenantEntry) -> None:
        """The next change."""
        last = await self.feed.published(IDENTITY)
        await self.feed.publish(IDENTITY, [Change((last or 0) + 1, entry)])


@pytest.fixture
async def here() -> AsyncIterator[Here]:
    async with serving(FakeCell()) as one, serving(FakeCell()) as two:
        feed = MemoryFeed()
        await feed.fill(snapshot_of({"cell-1": one.address, "cell-2": two.address}, {"acme": ("cell-1", 5)}))
        async with following(feed) as export:
            yield Here(export, feed, one, two)


async def test_a_tenant_that_moves_is_followed_without_a_reload(here: Here) -> None:
    """One process, one connection to it, and the figure is printed."""
    assert await here.epoch_at(here.one) == 5
    process, pid = here.export.exporter.teller.process, here.haproxy.pid
    for epoch, cell, name in ((6, here.two, "cell-2"), (7, here.one, "cell-1"), (8, here.two, "cell-2")):
        await move(here.feed, "acme", name, epoch)

        async def there(cell: FakeCell = cell, epoch: int = epoch) -> bool:
            return await here.epoch_at(cell) == epoch

        seconds = await seconds_until(there)
        print(f"HAProxy follows a move after {seconds * 1000:.1f} ms")
    assert (here.export.exporter.teller.process, here.haproxy.pid) == (process, pid)
    assert here.haproxy.alive


async def test_a_new_tenant_is_served_and_a_deleted_one_is_not(here: Here) -> None:
    """As if it had never been there: the answer is that for a wrong key."""
    wrong = await here.answered(NOBODYS, 401)
    await here.publish(TenantEntry("other", "cell-2", 6))
    assert (await here.answered(OTHERS, 200)).body == b"ok"
    await here.publish(TenantEntry("other", None, 7))
    assert (await here.answered(OTHERS, 401)).body == wrong.body
    await here.publish(TenantEntry("other", "cell-1", 8))
    assert (await here.answered(OTHERS, 200)).body == b"ok"
    await here.publish(TenantEntry("acme", None, 9))
    assert (await here.answered(ACMES, 401)).body == wrong.body


async def test_a_new_cell_is_served_from_the_first_tenant_on(here: Here) -> None:
    """It is a server that HAProxy did not have when it started."""
    async with serving(FakeCell()) as three:
        await here.publish(CellEntry("cell-3", "open", three.address))
        await here.publish(TenantEntry("acme", "cell-3", 6))
        await eventually(lambda: here.epoch_at(three))
        assert here.haproxy.alive
        configuration = here.haproxy.folder / "haproxy.cfg"
        await eventually(lambda: f":{three.port} " in configuration.read_text())


async def test_a_cells_new_address_is_used_and_the_old_one_no_more(here: Here) -> None:
    """Also by a client whose connection was there before."""
    assert await here.epoch_at(here.one) == 5
    async with serving(FakeCell()) as moved, connected(here.haproxy) as client:  # type: ignore[arg-type]
        for _ in range(2):  # the second goes over a kept connection
            client.send(get())
            assert (await client.answer()).status == 200
        await here.publish(CellEntry("cell-1", "open", moved.address))
        seconds = await seconds_until(lambda: here.epoch_at(moved))
        print(f"HAProxy uses a cell's new address after {seconds * 1000:.1f} ms")
        here.one.seen.clear()
        for _ in range(20):
            assert await here.epoch_at(moved) == 5
            client.send(get())
            assert (await client.answer()).status == 200
        assert not here.one.seen


async def test_a_server_goes_once_nobody_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not before: a request that is under way is answered."""
    monkeypatch.setattr(teller, "TIDY_SECONDS", 0.1)
    held = asyncio.Event()

    async def script(_seen: Seen, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await held.wait()
        writer.write(OK)

    async with serving(FakeCell(script=script)) as old, serving(FakeCell()) as new:
        feed = MemoryFeed()
        await feed.fill(snapshot_of({"cell-1": old.address}, {"acme": ("cell-1", 5)}))
        async with following(feed, cell_idle_seconds=1.0) as export:
            waiting = asyncio.ensure_future(export.haproxy.get())
            await eventually(lambda: old.seen)
            await feed.publish(IDENTITY, [Change(11, CellEntry("cell-1", "open", new.address))])
            await eventually(lambda: len(export.exporter.teller._there) == 2)
            assert (await export.haproxy.get()).status == 200
            assert len(export.exporter.teller._there) == 2
            held.set()
            assert (await waiting).status == 200
            await eventually(lambda: len(export.exporter.teller._there) == 1)
            assert (await export.haproxy.get()).status == 200
            assert len(new.seen) == 2


async def test_a_restarted_haproxy_is_brought_up_to_date(here: Here) -> None:
    """Its files may be older than what the last one was told: here they are put back."""
    base = here.haproxy.folder / "tenants.map"
    old = base.read_text()
    await move(here.feed, "acme", "cell-2", 6)
    await eventually(lambda: here.epoch_at(here.two))
    await eventually(lambda: base.read_text() != old)
    await here.haproxy.stop()
    base.write_text(old)
    await here.haproxy.start()
    seconds = await seconds_until(lambda: here.epoch_at(here.two))
    print(f"HAProxy is current {seconds * 1000:.1f} ms after it is up again")
    await move(here.feed, "acme", "cell-1", 7)
    assert await eventually(lambda: here.epoch_at(here.one)) == 7


async def test_a_restart_begins_from_current_files(here: Here) -> None:
    """With nobody to bring it up to date."""
    await move(here.feed, "acme", "cell-2", 6)
    async with serving(FakeCell()) as three:
        await here.publish(CellEntry("cell-3", "open", three.address))
        await here.publish(TenantEntry("acme", "cell-3", 7))
        await eventually(lambda: "acme cell-3:7" in (here.haproxy.folder / "tenants.map").read_text())
        await here.export.exporter.stop()
        await here.haproxy.restart()
        assert await here.epoch_at(three) == 7


async def test_while_haproxy_is_away_the_files_are_kept(here: Here) -> None:
    """And it is found when it comes."""
    await here.haproxy.stop()
    await eventually(lambda: here.export.exporter.teller.process is None)
    await move(here.feed, "acme", "cell-2", 6)
    await eventually(lambda: "acme cell-2:6" in (here.haproxy.folder / "tenants.map").read_text())
    await here.haproxy.start()
    assert await eventually(lambda: here.epoch_at(here.two)) == 6


async def test_without_the_directory_haproxy_goes_on_and_catches_up_later(here: Here) -> None:
    """What is known stays good until something better is."""
    here.feed.away = True
    assert await here.epoch_at(here.one) == 5
    await here.haproxy.restart()
    assert await here.epoch_at(here.one) == 5
    here.feed.away = False
    await move(here.feed, "acme", "cell-2", 6)
    await eventually(lambda: here.epoch_at(here.two))


async def test_a_snapshot_that_replaces_everything_is_followed(here: Here) -> None:
    """A gap in the changes: some tenants are gone, some are new, some moved."""
    cells = {"cell-1": here.one.address, "cell-2": here.two.address}
    await here.feed.fill(snapshot_of(cells, {"acme": ("cell-2", 9), "other": ("cell-2", 8)}, seq=90))
    assert await eventually(lambda: here.epoch_at(here.two)) == 9
    assert (await here.answered(OTHERS, 200)).body == b"ok"
    assert here.two.seen[-1].values(b"cellway-epoch") == [b"8"]


async def test_ten_thousand_changes_arrive_in_seconds(here: Here) -> None:
    """In one go, and again over the same tenants; the figures are printed."""
    for epoch, word in ((10, "new"), (20, "changed")):
        last = await here.feed.published(IDENTITY) or 0
        changes = [
            Change(last + 1 + number, TenantEntry(f"bulk-{number:05d}", "cell-1", epoch))
            for number in range(10_000)
        ]
        changes.append(Change(last + 10_001, TenantEntry("acme", "cell-2", epoch)))
        await here.feed.publish(IDENTITY, changes)

        homes = {f"cell-1:{epoch}", f"cell-2:{epoch}"}

        async def there(homes: set[str] = homes) -> bool:
            held = await _held(here.haproxy.folder)
            return len(held) == 10_001 and set(held.values()) == homes

        seconds = await seconds_until(there)
        print(f"10,001 {word} assignments are in HAProxy after {seconds:.2f} s")
    assert await here.epoch_at(here.two) == 20


async def _held(folder: Path) -> dict[str, str]:
    """What HAProxy's maps say about every tenant."""
    runtime = RuntimeSocket(folder / "haproxy.sock")
    await runtime.connect()
    base, recent = await runtime.ask([f"show map {folder}/tenants.map", f"show map {folder}/recent.map"])
    await runtime.close()
    return {**dict(told.entries(base)), **dict(told.entries(recent))}


async def test_what_piles_up_is_moved_into_the_large_map(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """While changes go on; no tenant is missing or old at any moment."""
    monkeypatch.setattr(teller, "MOST_RECENT", 50)
    monkeypatch.setattr(teller, "AT_ONCE", 1)
    last = await here.feed.published(IDENTITY) or 0
    number = 0
    for round_ in range(10):
        changes = []
        for _ in range(200):
            number += 1
            changes.append(Change(last + number, TenantEntry(f"bulk-{number % 700:05d}", "cell-1", number)))
        await here.feed.publish(IDENTITY, changes)
        assert (await here.haproxy.get()).status == 200, round_
    await here.feed.publish(IDENTITY, [Change(last + number + 1, TenantEntry("bulk-00001", None, number + 1))])
    expected = dict(here.export.exporter.ledger.homes)

    async def same() -> bool:
        expected.clear()
        expected.update(here.export.exporter.ledger.homes)
        held = {tenant: home for tenant, home in (await _held(here.haproxy.folder)).items() if home != "-"}
        return held == expected and len(held) == 700

    await eventually(same)
    await eventually(lambda: len(here.export.exporter.teller._recent) <= 200)


async def test_a_reloaded_haproxy_is_found_though_the_old_one_still_answers(here: Here) -> None:
    """After a reload the connection is still to the process that goes."""
    await here.export.exporter.stop()
    await here.haproxy.stop()
    folder = here.haproxy.folder
    feed = here.feed
    process = await asyncio.create_subprocess_exec(
        program(), "-W", "-db", "-f", folder / "haproxy.cfg", stderr=asyncio.subprocess.DEVNULL
    )
    again = Exporter(here.export.exporter.plan, feed)
    await again.prepare()
    await again.follow()
    try:
        await eventually(lambda: again.teller.process)
        first = again.teller.process
        process.send_signal(signal.SIGUSR2)
        await eventually(lambda: again.teller.process not in (None, first))
        await move(feed, "acme", "cell-2", 6)
        assert await eventually(lambda: here.epoch_at(here.two)) == 6
    finally:
        await again.stop()
        process.terminate()
        await process.wait()


async def test_an_exporter_may_come_before_the_directory_and_before_haproxy() -> None:
    """Whoever is there first waits; nothing is written that would be worse than what is there."""
    program()
    async with serving(FakeCell()) as cell:
        feed = MemoryFeed()
        feed.away = True
        with short_folder() as name:
            folder = Path(name)
            (folder / "tenants.map").write_text("acme cell-1:1\n")
            made = exporter(folder, feed)
            await made.prepare()
            await made.follow()
            haproxy = Haproxy(folder, int(made.plan.listen.rpartition(":")[2]))
            try:
                await eventually(lambda: made.ledger._follower.trouble != "not reached yet")
                assert (folder / "tenants.map").read_text() == "acme cell-1:1\n"
                feed.away = False
                await feed.fill(snapshot_of({"cell-1": cell.address}, {"acme": ("cell-1", 5)}))
                await eventually(lambda: (folder / "tenants.map").read_text() == "acme cell-1:5\n")
                await haproxy.start()
                await eventually(lambda: made.teller.process)
                assert (await haproxy.get()).status == 200
            finally:
                await made.stop()
                await haproxy.stop()


async def test_a_refused_snapshot_changes_nothing(here: Here) -> None:
    """The table's caution is HAProxy's too."""
    many = {f"tenant-{number:03d}": ("cell-1", 5) for number in range(100)}
    cells = {"cell-1": here.one.address, "cell-2": here.two.address}
    await here.feed.fill(snapshot_of(cells, {**many, "acme": ("cell-1", 5)}, seq=50))
    await eventually(lambda: len(here.export.exporter.ledger.homes) == 101)
    await here.feed.fill(snapshot_of(cells, {"acme": ("cell-1", 5)}, seq=90))
    await eventually(lambda: here.export.exporter.ledger._follower.refused)
    assert len(here.export.exporter.ledger.homes) == 101
    assert len(await _held(here.haproxy.folder)) == 101


async def test_what_somebody_else_told_haproxy_is_put_right(here: Here) -> None:
    """A command that HAProxy refuses shows that it does not hold what we thought: it is compared anew."""
    await move(here.feed, "acme", "cell-2", 6)
    await eventually(lambda: here.epoch_at(here.two))
    runtime = RuntimeSocket(here.haproxy.folder / "haproxy.sock")
    await runtime.connect()
    await runtime.ask([f"clear map {here.haproxy.folder}/{name}.map" for name in ("recent", "tenants")])
    await runtime.close()
    assert (await here.haproxy.get()).status == 401
    await move(here.feed, "acme", "cell-1", 7)
    await here.answered(ACMES, 200)
    assert await here.epoch_at(here.one) == 7


async def test_a_server_that_haproxy_will_not_have_keeps_nobody_waiting(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tenants are answered 503; the others' changes go on."""
    usual = told.added

    def added(server: Server, settings: RouterSettings) -> list[str]:
        odd = " no-such-option" if server.cell_id == "cell-3" else ""
        return [command + odd for command in usual(server, settings)]

    monkeypatch.setattr(told, "added", added)
    await here.publish(CellEntry("cell-3", "open", here.one.address))
    await here.publish(TenantEntry("other", "cell-3", 6))
    await here.answered(OTHERS, 503)
    await move(here.feed, "acme", "cell-2", 7)
    assert await eventually(lambda: here.epoch_at(here.two)) == 7


async def test_one_folder_has_one_follower(here: Here) -> None:
    """Two who tell one HAProxy would contradict each other."""
    with pytest.raises(ExportFailed, match="kept by another export"):
        await exporter(here.haproxy.folder, here.feed).prepare()


async def test_the_socket_is_not_for_others(here: Here) -> None:
    """Whoever may write to it rules this HAProxy."""
    for name in ("haproxy.sock", "again.sock"):
        assert (os.stat(here.haproxy.folder / name).st_mode & 0o777) == 0o600  # noqa: PTH116
