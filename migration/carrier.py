"""Carries one move from phase to phase, for as long as it has the latest token.

A phase is recorded before its work begins, and all work can be done twice. So whoever finds a move does the work
of the phase it is in, whatever the one before had done of it. What must not be done twice is decided in the
directory, in one transaction with its effect.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from directory.errors import NotAllowed
from directory.moves import Moves
from directory.rules.moves import BEFORE_FENCING, ENDED, URGENT, MoveStep
from directory.truth import Directory
from directory.values import Move, MoveChange
from migration import fences, metrics, removing, stepping, switching, verifying
from migration.catalog import read_fingerprint, read_schema
from migration.copying import copy_table
from migration.databases import Databases
from migration.ends import End
from migration.errors import Lost, Obstacle, Unavailable, translated
from migration.fences import Notes
from migration.pacing import Paces
from migration.rules import chunks
from migration.rules.chunks import Progress
from migration.rules.comparing import obstacles, spelled_otherwise
from migration.rules.tables import Schema
from migration.stepping import Stepped
from migration.switching import Switch
from runtime import logs

log = logs.get("migration")
SMALL_KEYS = 200
"""A difference that is applied within a few milliseconds."""
MOST_COPIES = 3
"""Beyond, somebody has to look why the ends do not become equal."""
MOST_STEPS = 100
"""Without getting small enough: the writers are faster than the move."""
CAPTURE_TRIES = 20
CAPTURE_LOCK_MS = 200
BACK_SECONDS = 30.0
"""Between two steps that keep the way back fresh."""
BEGINNING = "3:3:"
"""A snapshot that sees nothing: all that was logged came after it."""
WAY_BACK = "way_back"
"""In a move's progress: history and tables of the server whose log leads back; None: only a copy would."""
TAKEN_BACK = "taken_back"
"""In a reverse's notes: the rows are those that the reversed move left, and brought on."""
HELD_SECONDS = 1.0
"""Between two steps of a move that waits before its switch."""
AGAIN_SECONDS = 0.5
"""Until somebody else's switch in the same cell may be over."""
WRITERS_SHARE = 0.4
"""Of the pause's budget, how long writers are waited for before the fence."""
RELEASED = ("CATCHING_UP", "ABORTING")
"""What a move goes on with when its switch was decided against."""
SWITCH_SECONDS = 10.0
"""For which nobody else switches in the same cells."""


class Cancelled(Exception):
    """An operator wants the source to be as it was."""


class Paused(Exception):
    """An operator wants it to wait."""


class Carrier:
    """One claim's time with a move."""

    def __init__(self, moves: Moves, directory: Directory, databases: Databases, paces: Paces, move: Move) -> None:
        self._moves, self._directory, self._databases, self._paces = moves, directory, databases, paces
        self.move = self.claimed = move
        self._exits = AsyncExitStack()
        self._ends: dict[str, End] = {}
        self._notes: Notes | None = None
        """How far the destination is, as far as this claim has brought it."""
        self._schema: Schema | None = None
        self._is_open = False
        """The source's fence is where the last decision wants it."""
        self._work: Mapping[str, Callable[[], Awaitable[float | None]]] = {
            "PLANNED": self._planned,
            "PREPARED": self._prepared,
            "CAPTURING": self._capturing,
            "COPYING": self._copying,
            "CATCHING_UP": self._catching_up,
            "VERIFYING": self._verifying,
            "READY": self._ready,
            "FENCING": self._undecided,
            "FINALIZING": self._undecided,
            "COMMITTED": self._committed,
            "ACTIVATED": self._activated,
            "DRAINING": self._draining,
            "REVERSIBLE": self._reversible,
            "CLEANING": self._cleaning,
            "ABORTING": self._aborting,
            "REVERSING": self._reversing,
        }

    def __repr__(self) -> str:
        return f"<Carrier of {self.move.move_id} {self.move.phase}>"

    async def carry(self) -> float:
        """Until it has ended, or nothing is to be done now, and then for how many seconds.

        Superseded; Unavailable; Obstacle; Paused. Whatever is raised, the directory knows how far the move is.
        """
        async with self._exits:
            while self.move.phase not in ENDED:
                try:
                    wait_seconds = await self._work[self.move.phase]()
                except Cancelled:
                    await self._record("abort", text="cancelled")
                except Lost as lost:
                    await self._copy_again(str(lost))
                else:
                    if wait_seconds is not None:
                        return wait_seconds
        return 0.0

    @property
    def tenant_waits(self) -> bool:
        """Whether the tenant may be unable to write until this move is carried on."""
        released = self.move.phase in RELEASED and "released" in self.move.epochs and not self._is_open
        return released or self.move.phase in URGENT

    def heed(self, move: Move) -> None:
        """What was read of it meanwhile: an operator may have asked for something."""
        self.move = replace(self.move, wish=move.wish, paused=move.paused)

    # What is told to the directory

    async def _record(self, event: MoveStep, text: str = "", **change: Any) -> None:
        said = MoveChange(**{"error": "", **change})
        self._entered(await self._moves.record(self.move.move_id, self.move.token, event, said, text))

    def _entered(self, move: Move) -> None:
        log.info("phase_entered", move=move.move_id, before=self.move.phase, phase=move.phase)
        metrics.PHASES.labels(move.phase).inc()
        self.move = move

    async def _tell(self, **progress: Any) -> None:
        change = MoveChange(progress=progress)
        self.move = await self._moves.note(self.move.move_id, self.move.token, change)

    def _obey(self) -> None:
        """Where it can be interrupted. Cancelled; Paused."""
        if self.move.phase in BEFORE_FENCING:
            if self.move.wish == "cancel":
                raise Cancelled
            if self.move.paused:
                raise Paused

    # The two databases

    async def _end(self, cell_id: str) -> End:
        """Of a cell, taken up with this claim's token. Superseded; Unavailable; Obstacle."""
        if cell_id not in self._ends:
            dsn = self._databases.dsn(cell_id)
            end = End(dsn, name=cell_id, tenant_id=self.move.tenant_id, move_id=self.move.move_id)
            await self._exits.enter_async_context(end)
            notes = await self._take(end)
            if cell_id == self.move.destination:
                self._notes = notes
            self._ends[cell_id] = end
        return self._ends[cell_id]

    async def _take(self, end: End) -> Notes:
        """Not held up by a predecessor that stands still in a transaction, and is not coming back in time."""
        try:
            return await fences.take(end, self.move.token)
        except Unavailable as error:
            await self._tell()  # or we are one ourselves
            if not await fences.end_predecessors(end):
                raise
            log.warning("predecessor_ended", move=self.move.move_id, cell=end.name, reason=str(error))
        return await fences.take(end, self.move.token)

    async def _source(self) -> End:
        return await self._end(self.move.source)

    async def _destination(self) -> End:
        return await self._end(self.move.destination)

    async def _fitting(self) -> Schema:
        """The source's schema, once it is known that its rows fit into the destination. Obstacle."""
        if self._schema is None:
            source, destination = await self._source(), await self._destination()
            async with source.connected() as one, destination.connected() as other:
                here, there = await asyncio.gather(read_schema(one), read_schema(other))
            if found := (*obstacles(here, there), *spelled_otherwise(here, self.move.tenant_id)):
                raise Obstacle("; ".join(str(each) for each in found))
            self._schema = replace(here, other=there.fingerprint)
        return self._schema

    # Before the switch

    async def _planned(self) -> None:
        # Known before it is used: whoever finds a fence at this epoch knows whose it is.
        epoch = await self._moves.fresh_epoch()
        await self._record("prepare", epochs={"importing": epoch})

    async def _prepared(self) -> None:
        self._obey()
        schema, destination = await self._fitting(), await self._destination()
        known = await fences.look(destination)
        if known is not None and known.state in ("active", "fenced"):
            raise Obstacle(
                f"the fence of {destination.name} is {known.state} at epoch {known.epoch}, though the tenant "
                f"lives in {self.move.source}: ask `cellway doctor`"
            )
        await fences.flip(destination, self.move.token, self.move.epochs["importing"], "importing")
        if not await self._taken_back(destination, schema):
            await self._empty(destination, schema)
        await self._record("capture")

    async def _taken_back(self, destination: End, schema: Schema) -> bool:
        """Whether the rows that the reversed move left there are good to go on from."""
        if self.move.reverses is None:
            return False
        reversed_move, source = await self._moves.move(self.move.reverses), await self._source()
        history = reversed_move.progress.get(WAY_BACK)
        if history is None or history != await _way_back(source):
            return False  # nobody kept it fresh, or its source has another history, or other tables, since
        copied = {
            chunks.progress_key(relation): chunks.Progress(done=True).as_json() for relation in schema.tables
        }
        notes = {"history": history.partition(" ")[0], "schemas": schema.pair, TAKEN_BACK: True, **copied}
        await fences.hand_over(destination, self.move.token, self.move.reverses, self.move.move_id, notes)
        self._notes = await fences.take(destination, self.move.token)
        return True

    async def _empty(self, destination: End, schema: Schema) -> None:
        """Without any row of the tenant, nor a note that there are some."""
        await removing.forget_notes(destination, self.move.token)
        self._notes = Notes(None, {})
        await removing.remove_rows(destination, self.move.token, schema)

    async def _copy_again(self, why: str) -> None:
        """What is there has no snapshot any more from which it could go on. Obstacle: it does not help."""
        times = int(self.move.progress.get("copied_again", 0)) + 1
        if times > MOST_COPIES:
            raise Obstacle(f"it was copied again {MOST_COPIES} times, and is still not right: {why}")
        if self.move.phase == "READY":
            await self._record("catch_up", text=why)
        await self._empty(await self._destination(), await self._fitting())
        proof, progress = {"equal": False}, {"copied_again": times}
        await self._record("copy_again", text=why, proof=proof, progress=progress)

    async def _capturing(self) -> None:
        await self._capture()
        await self._record("copy")

    async def _capture(self) -> None:
        """What is written at the source from now on is logged there."""
        source = await self._source()
        for _ in range(CAPTURE_TRIES):
            self._obey()
            try:
                await fences.capture(source, self.move.token, wanted=True, lock_ms=CAPTURE_LOCK_MS)
            except Unavailable as error:
                log.info("writers_in_the_way", cell=source.name, reason=str(error))
                await asyncio.sleep(CAPTURE_LOCK_MS / 1000)  # they go first, or all would wait behind us
            else:
                return
        raise Unavailable(f"{source.name} has transactions of this tenant that do not end")

    async def _copying(self) -> None:
        self._obey()
        schema, source, destination = await self._fitting(), await self._source(), await self._destination()
        notes = self._known()
        if notes.snapshot is None:
            await self._capture()  # a source that was restored from elsewhere may not know of it
            async with source.reading() as reader, destination.writing(self.move.token) as writing:
                notes = Notes(await reader.snapshot(), {"history": await reader.history(), "schemas": schema.pair})
                await fences.persist(source, self.move.token)
                await writing.note(notes.snapshot, notes.progress)
            self._notes = notes
        since, _ = self._since(schema)
        done = {relation: chunks.progress_of(notes.progress, relation) for relation in schema.tables}
        began, before = time.monotonic(), sum(each.rows for each in done.values())

        async def told(relation: str, progress: Progress) -> None:
            self._obey()
            done[relation] = progress
            rows = sum(each.rows for each in done.values())
            await self._tell(
                tables=len(done),
                tables_copied=sum(each.done for each in done.values()),
                rows_copied=rows,
                bytes_copied=sum(each.bytes for each in done.values()),
                rows_per_second=round((rows - before) / max(0.001, time.monotonic() - began)),
                **turns.told(),
            )

        async with self._paces.copying(source.name) as turns:
            for relation, table in schema.tables.items():
                if not done[relation].done:
                    done[relation] = await copy_table(
                        *(source, destination, self.move.token, table, schema, since, done[relation]),
                        before_chunk=partial(told, relation),
                        turns=turns,
                    )
        async with destination.writing(self.move.token) as writing:
            await writing.note()  # from here on it is known to be there, so it has to be on the disk
        rows = sum(each.rows for each in done.values())
        metrics.ROWS.labels("copy").inc(rows - before)
        await self._record("catch_up", progress={"tables_copied": len(done), "rows_copied": rows})

    def _known(self) -> Notes:
        if self._notes is None:
            raise RuntimeError("the destination was not taken up")
        return self._notes

    def _since(self, schema: Schema) -> tuple[str, str]:
        """The snapshot from which the destination goes on, and its history.

        Lost: there is none, or what is there was brought between tables that were others.
        """
        notes = self._known()
        if notes.snapshot is None:
            raise Lost(f"{self.move.destination} has nothing to go on from")
        if notes.progress.get("schemas") != schema.pair:
            raise Lost("the schema of an end changed since its rows were copied")
        return notes.snapshot, notes.progress["history"]

    async def _step(self) -> Stepped:
        """Bring the destination to now. Lost; Obstacle; Unavailable; Superseded."""
        self._obey()
        schema, source, destination = await self._fitting(), await self._source(), await self._destination()
        since, history = self._since(schema)
        began = time.monotonic()
        async with source.reading() as reader, destination.writing(self.move.token) as writing:
            stepped = await stepping.step(
                *(reader, writing, schema, since),
                history=history,
                persist=partial(fences.persist, source, self.move.token),
            )
        seconds = time.monotonic() - began
        self._notes = replace(self._known(), snapshot=stepped.snapshot)
        metrics.STEP_SECONDS.observe(seconds)
        metrics.ROWS.labels("step").inc(stepped.rows)
        await removing.forget_logged(source, self.move.token, stepped.snapshot)
        await self._tell(lag_keys=stepped.keys, step_ms=round(seconds * 1000, 1))
        return stepped

    async def _catching_up(self) -> None:
        await self._reopen()
        for _ in range(MOST_STEPS):
            if (await self._step()).keys <= SMALL_KEYS:
                wanted = self.move.options.verify and not self.move.proof.get("equal")
                await self._record("verify" if wanted else "ready")
                return
        raise Unavailable("the tenant writes faster than its rows can be brought to the destination")

    async def _reopen(self) -> None:
        """After a switch that was decided against, the source serves the tenant, whoever died before it could."""
        if "released" in self.move.epochs:
            source = await self._source()
            known = await fences.look(source)
            if known is None or known.epoch < self.move.epochs["released"]:
                await switching.open_source(source, self.move)
        self._is_open = True

    async def _verifying(self) -> None:
        schema, source, destination = await self._fitting(), await self._source(), await self._destination()
        since, history = self._since(schema)
        self._obey()
        began = time.monotonic()
        async with source.reading() as reader:
            async with destination.writing(self.move.token) as writing:
                stepped = await stepping.step(
                    *(reader, writing, schema, since),
                    history=history,
                    persist=partial(fences.persist, source, self.move.token),
                )
            self._notes = replace(self._known(), snapshot=stepped.snapshot)
            async with destination.reading() as other:
                verified = await verifying.verify(reader, other, schema)
                await verifying.refuse_dangling(other, schema)
        seconds = time.monotonic() - began
        if not verified.equal:
            unequal = "; ".join(
                f"{each.relation} has {each.source_rows} rows at the source and {each.destination_rows} at the "
                f"destination, and differs in {', '.join(map(str, each.keys[:3])) or 'rows without a key'}"
                for each in verified.differences
            )
            log.error("ends_differ", move=self.move.move_id, differences=unequal)
            raise Lost(f"the ends differ: {unequal}")
        proof = {
            "equal": True,
            "snapshot": stepped.snapshot,
            "rows": dict(verified.rows),
            "sums": dict(verified.sums),
            "seconds": round(seconds, 3),
        }
        await self._record("ready", proof=proof)

    # The switch

    async def _ready(self) -> float | None:
        stepped = await self._step()
        if self.move.options.hold and self.move.wish != "switch":
            return HELD_SECONDS
        if stepped.keys > SMALL_KEYS:
            await self._record("catch_up")
            return None
        if not await self._moves.take_switch(self.move.move_id, self.move.token, SWITCH_SECONDS):
            return AGAIN_SECONDS
        try:
            # Those that are long at it would hold up the switch, and whoever is told to go elsewhere by then.
            lock_ms = max(10, int(self.move.options.pause_budget_ms * WRITERS_SHARE))
            await fences.await_writers(await self._source(), lock_ms=lock_ms)
        except Unavailable as error:
            log.info("writers_in_the_way", cell=self.move.source, reason=str(error))
            return AGAIN_SECONDS
        await self._step()
        notes, switch = self._known(), await self._switch()
        try:
            switched = await switch.run(await self._assigned(), str(notes.snapshot), notes.progress["history"])
        except Exception:
            self.move, self._is_open = switch.move, False  # for whoever asks how urgent it is
            raise
        self._entered(switched.move)
        self._notes = replace(notes, snapshot=None) if switched.committed else self._notes
        if switched.committed:
            await self._activate(pause_ms=round(switched.pause_ms, 1))
            return None
        self._notes = None
        raise Unavailable(f"the switch was given up after {switched.pause_ms:.0f} ms: {switched.reason}")

    async def _switch(self) -> Switch:
        return Switch(
            *(self._moves, self.move, await self._source(), await self._destination(), await self._fitting())
        )

    async def _assigned(self) -> int:
        """The epoch at which the tenant is in the source."""
        tenant = await self._directory.tenant(self.move.tenant_id)
        if tenant.assignment is None or tenant.assignment.cell_id != self.move.source:
            raise Obstacle(f"the tenant does not live in {self.move.source} any more")
        return tenant.assignment.epoch

    async def _undecided(self) -> None:
        """Somebody died between fence and decision: decide against it, and begin the switch anew."""
        source = await self._source()
        self._entered(await switching.release(self._moves, self.move, await self._assigned(), source))
        self._is_open = True

    async def _committed(self) -> None:
        await switching.open_destination(await self._destination(), self.move)
        await self._activate(text="opened by a successor")

    async def _activate(self, **change: Any) -> None:
        """From which server's log the way back could be gone."""
        history = await _way_back(await self._destination()) if self.move.options.reverse_seconds else None
        await self._record("activate", progress={WAY_BACK: history}, **change)

    # After it

    async def _activated(self) -> None:
        source = await self._source()
        await fences.flip(source, self.move.token, self.move.epochs["commit"], "moved", captured=False)
        await self._record("drain")

    async def _draining(self) -> float:
        await removing.forget_logged(await self._source(), self.move.token)
        await self._record("keep")
        return BACK_SECONDS

    async def _reversible(self) -> float | None:
        """Close the way back when its time is over or an operator has confirmed; until then, keep it fresh."""
        try:
            await self._record("clean", text="the way back is closed")
        except NotAllowed:
            if self.move.progress.get(WAY_BACK) is not None:
                await self._step_back()
            return BACK_SECONDS
        return None

    async def _step_back(self) -> None:
        """What was written since comes to the source too: the log stays small, and a reverse is quick."""
        source, destination = await self._source(), await self._destination()
        notes = await fences.take(source, self.move.token)
        async with destination.connected() as connection:
            schema = await read_schema(connection)
        try:
            async with destination.reading() as reader, source.writing(self.move.token) as writing:
                since = notes.snapshot or BEGINNING
                history, _, fingerprint = self.move.progress[WAY_BACK].partition(" ")
                if fingerprint != schema.fingerprint:
                    raise Lost(f"the schema of {destination.name} changed since the tenant came")
                persist = partial(fences.persist, destination, self.move.token)
                stepped = await stepping.step(reader, writing, schema, since, history=history, persist=persist)
        except Lost as lost:
            log.warning("way_back_lost", move=self.move.move_id, reason=str(lost))
            await fences.capture(destination, self.move.token, wanted=False)
            await self._tell(**{WAY_BACK: None})
        else:
            await removing.forget_logged(destination, self.move.token, stepped.snapshot)

    async def _cleaning(self) -> None:
        destination = await self._destination()
        await fences.capture(destination, self.move.token, wanted=False)
        await removing.forget_logged(destination, self.move.token)
        await self._tell(**{WAY_BACK: None})
        source = await self._source()
        async with source.connected() as connection:
            schema = await read_schema(connection)
        await removing.remove_rows(source, self.move.token, schema)
        await self._record("done")

    async def _aborting(self) -> None:
        """The source first: it is in use, and the destination may be away for long."""
        source = await self._source()
        await self._reopen()
        if self.move.reverses is None or not await self._given_back(self.move.reverses):
            await fences.capture(source, self.move.token, wanted=False)
            await removing.forget_logged(source, self.move.token)
            await self._leave(await self._destination())
        await self._record("aborted")

    async def _given_back(self, reverses: str) -> bool:
        """Whether the reversed move has its rows again, which it goes on keeping fresh."""
        destination = await self._destination()
        if not self._known().progress.get(TAKEN_BACK):
            return False  # what is there is half a copy
        await fences.hand_over(destination, self.move.token, self.move.move_id, reverses)
        epoch = await self._moves.fresh_epoch()
        await fences.flip(destination, self.move.token, epoch, "moved", held_for=reverses)
        return True

    async def _leave(self, destination: End) -> None:
        """Nothing of the tenant is left there."""
        async with destination.connected() as connection:
            schema = await read_schema(connection)
        known = await fences.look(destination)
        if known is not None and known.state == "importing":
            await removing.remove_rows(destination, self.move.token, schema)
            await fences.flip(destination, self.move.token, await self._moves.fresh_epoch(), "moved")

    async def _reversing(self) -> None:
        """Its reverse has ended: by having brought the tenant back, or not."""
        tenant = await self._directory.tenant(self.move.tenant_id)
        home = tenant.assignment.cell_id if tenant.assignment is not None else None
        await self._record("reversed" if home == self.move.source else "keep")


async def _way_back(end: End) -> str:
    """What stays as it is while the log there leads back: the server's history, and the tables."""
    async with end.reading() as reader:
        history = await reader.history()
        with translated(reader.where):
            return f"{history} {await read_fingerprint(reader.connection)}"
