"""Up to the switch: prepare, capture, copy, catch up, verify. All of it can be undone."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from directory.rules.tables import Schema, Table
from migration import fences, metrics, removing, statistics, stepping, switching
from migration.claim import Claim
from migration.copying import copy_table, without_rows
from migration.ends import End, Reader
from migration.errors import Lost, Obstacle, Unavailable
from migration.fences import Notes
from migration.phases import way_back
from migration.rules import chunks
from migration.rules.chunks import Progress
from migration.stepping import Stepped
from migration.verifying import refuse_dangling, verify
from runtime import logs

log = logs.get("migration")
SMALL_KEYS = 200
"""A difference that is applied within a few milliseconds."""
MOST_COPIES = 3
"""Beyond, somebody has to look why the ends do not become equal."""
MOST_STEPS = 100
"""Without getting small enough: the writers are faster than the move."""
TELL_SECONDS = 0.5
"""Between two times that the directory is told how far a copy is."""
CAPTURE_TRIES = 20
CAPTURE_LOCK_MS = 200


async def planned(claim: Claim) -> None:
    """Decide at which epoch the destination is prepared."""
    # Known before it is used: whoever finds a fence at this epoch knows whose it is.
    epoch = await claim.moves.fresh_epoch()
    await claim.record("prepare", epochs={"importing": epoch})


async def prepared(claim: Claim) -> None:
    """The destination is this move's, and has none of the tenant's rows but those to go on from."""
    claim.obey()
    schema, destination = await claim.fitting(), await claim.destination()
    known = await fences.look(destination)
    if known is not None and known.state in ("active", "fenced"):
        raise Obstacle(
            f"the fence of {destination.name} is {known.state} at epoch {known.epoch}, though the tenant "
            f"lives in {claim.move.source}: ask `cellway doctor`"
        )
    await fences.flip(destination, claim.move.token, claim.move.epochs["importing"], "importing")
    if not await way_back.taken(claim):
        await _empty(claim, destination, schema)
    await claim.record("capture")


async def capturing(claim: Claim) -> None:
    """What is written at the source from now on is logged there."""
    await _capture(claim)
    await claim.record("copy")


async def _capture(claim: Claim) -> None:
    source = await claim.source()
    for _ in range(CAPTURE_TRIES):
        claim.obey()
        try:
            await fences.capture(source, claim.move.token, wanted=True, lock_ms=CAPTURE_LOCK_MS)
        except Unavailable as error:
            log.info("writers_in_the_way", cell=source.name, reason=str(error))
            await claim.is_held_up(await fences.tell_writers(source))
            await asyncio.sleep(CAPTURE_LOCK_MS / 1000)  # they go first, or all would wait behind us
        else:
            return
    raise Unavailable(await fences.tell_writers(source))


async def copying(claim: Claim) -> None:
    """The rows, table by table, from where the destination's notes say that they are."""
    claim.obey()
    schema, source, destination = await claim.fitting(), await claim.source(), await claim.destination()
    notes = await claim.known()
    if notes.snapshot is None:
        await _capture(claim)  # a source that was restored from elsewhere may not know of it
        async with source.reading() as reader, destination.writing(claim.move.token) as writing:
            notes = Notes(await reader.snapshot(), {"history": await reader.history(), "schemas": schema.pair})
            await fences.persist(source, claim.move.token)
            await writing.note(notes.snapshot, notes.progress)
        claim.notes = notes
    since, _ = await claim.since()
    done = {relation: chunks.progress_of(notes.progress, relation) for relation in schema.tables}
    done |= await _passed_over(claim, [table for table in schema.tables.values() if not done[table.relation].done])
    began, before = time.monotonic(), sum(each.rows for each in done.values())
    told_at = 0.0

    async def told(relation: str, progress: Progress) -> None:
        nonlocal told_at
        claim.obey()
        done[relation] = progress
        if time.monotonic() - told_at < TELL_SECONDS:
            return
        told_at = time.monotonic()
        rows = sum(each.rows for each in done.values())
        if rows > before:
            await claim.goes_on()
        await claim.tell(
            tables=len(done),
            tables_copied=sum(each.done for each in done.values()),
            rows_copied=rows,
            bytes_copied=sum(each.bytes for each in done.values()),
            rows_per_second=round((rows - before) / max(0.001, time.monotonic() - began)),
            **turns.told(),
        )

    async with claim.paces.copying(source.name) as turns:
        for relation, table in schema.tables.items():
            if not done[relation].done:
                done[relation] = await copy_table(
                    *(source, destination, claim.move.token, table, schema, since, done[relation]),
                    before_chunk=partial(told, relation),
                    turns=turns,
                )
    async with destination.writing(claim.move.token) as writing:
        await writing.note()  # from here on it is known to be there, so it has to be on the disk
    for end in (source, destination):
        await statistics.refresh(end, schema, {relation: each.rows for relation, each in done.items()})
    rows = sum(each.rows for each in done.values())
    metrics.ROWS.labels("copy").inc(rows - before)
    copied_bytes = sum(each.bytes for each in done.values())
    await claim.record(
        "catch_up",
        progress={
            "tables": len(done),
            "tables_copied": len(done),
            "rows_copied": rows,
            "bytes_copied": copied_bytes,
            "rows_per_second": round((rows - before) / max(0.001, time.monotonic() - began)),
        },
    )


async def _passed_over(claim: Claim, tables: Sequence[Table]) -> dict[str, Progress]:
    """Tables of which nothing is to be copied, noted as done: what is written there later is captured."""
    source, destination = await claim.source(), await claim.destination()
    async with source.reading() as reader:
        empty = {table.relation: Progress(done=True) for table in await without_rows(reader, tables)}
    if empty:
        async with destination.writing(claim.move.token, durable=False) as writing:
            await writing.note(
                progress={chunks.progress_key(relation): each.as_json() for relation, each in empty.items()}
            )
    return empty


async def copy_again(claim: Claim, why: str) -> None:
    """What is there has no snapshot any more from which it could go on. Obstacle: it does not help."""
    times = int(claim.move.progress.get("copied_again", 0)) + 1
    if times > MOST_COPIES:
        raise Obstacle(f"it was copied again {MOST_COPIES} times, and is still not right: {why}")
    if claim.move.phase == "READY":
        await claim.record("catch_up", text=why)
    await _empty(claim, await claim.destination(), await claim.fitting())
    proof, progress = {"equal": False}, {"copied_again": times}
    await claim.record("copy_again", text=why, proof=proof, progress=progress)


async def _empty(claim: Claim, destination: End, schema: Schema) -> None:
    """Without any row of the tenant, nor a note that there are some."""
    await removing.forget_notes(destination, claim.move.token)
    claim.notes = Notes(None, {})
    await removing.remove_rows(destination, claim.move.token, schema)


async def catching_up(claim: Claim) -> None:
    """Step by step, until few keys are left."""
    await switching.open_source(claim)
    for _ in range(MOST_STEPS):
        if (await step(claim)).keys <= SMALL_KEYS:
            wanted = claim.move.options.verify and not claim.move.proof.get("equal")
            await claim.record("verify" if wanted else "ready")
            return
    raise Unavailable("the tenant writes faster than its rows can be brought to the destination")


async def step(claim: Claim) -> Stepped:
    """Bring the destination to now. Lost; Obstacle; Unavailable; Superseded."""
    claim.obey()
    await claim.fitting()
    source, began = await claim.source(), time.monotonic()
    async with source.reading() as reader:
        stepped = await _step_to(claim, reader)
    seconds = time.monotonic() - began
    metrics.STEP_SECONDS.observe(seconds)
    metrics.ROWS.labels("step").inc(stepped.rows)
    await removing.forget_logged(source, claim.move.token, stepped.snapshot)
    await claim.tell(lag_keys=stepped.keys, step_ms=round(seconds * 1000, 1))
    return stepped


async def _step_to(claim: Claim, reader: Reader) -> Stepped:
    """To the reader's snapshot."""
    schema, source, destination = await claim.fitting(), await claim.source(), await claim.destination()
    since, history = await claim.since()
    async with destination.writing(claim.move.token) as writing:
        stepped = await stepping.step(
            *(reader, writing, schema, since),
            history=history,
            persist=partial(fences.persist, source, claim.move.token),
        )
    claim.notes = replace(await claim.known(), snapshot=stepped.snapshot)
    return stepped


async def verifying(claim: Claim) -> None:
    """Every row at one snapshot, at both ends, while writers go on."""
    claim.obey()
    schema, source, destination = await claim.fitting(), await claim.source(), await claim.destination()
    claim.obey()
    began = time.monotonic()
    async with source.reading() as reader:
        stepped = await _step_to(claim, reader)
        async with destination.reading() as other:
            verified = await verify(reader, other, schema)
            await refuse_dangling(other, schema)
    seconds = time.monotonic() - began
    if not verified.equal:
        unequal = "; ".join(
            f"{each.relation} has {each.source_rows} rows at the source and {each.destination_rows} at the "
            f"destination, and differs in {', '.join(map(str, each.keys[:3])) or 'rows without a key'}"
            for each in verified.differences
        )
        log.error("ends_differ", move=claim.move.move_id, differences=unequal)
        raise Lost(f"the ends differ: {unequal}")
    proof = {
        "equal": True,
        "snapshot": stepped.snapshot,
        "rows": dict(verified.rows),
        "sums": dict(verified.sums),
        "seconds": round(seconds, 3),
    }
    await claim.record("ready", proof=proof)
