"""The way back: the rows that a move left in its source, kept fresh until nobody may want the tenant back there.

A reverse is a move of its own. It takes these rows over, and gives them back when it is given up.
"""

from functools import partial

from migration import fences, removing, stepping
from migration.catalog import read_fingerprint, read_schema
from migration.claim import Claim
from migration.ends import End
from migration.errors import Lost, translated
from migration.rules import chunks
from runtime import logs

log = logs.get("migration")
WAY_BACK = "way_back"
"""In a move's progress: history and tables of the server whose log leads back; None: only a copy would."""
TAKEN_BACK = "taken_back"
"""In a reverse's notes: the rows are those that the reversed move left, and brought on."""
BEGINNING = "3:3:"
"""A snapshot that sees nothing: all that was logged came after it."""


async def origin_of(end: End) -> str:
    """What stays as it is while the log there leads back: the server's history, and the tables."""
    async with end.reading() as reader:
        history = await reader.history()
        with translated(reader.where):
            return f"{history} {await read_fingerprint(reader.connection)}"


async def freshen(claim: Claim) -> None:
    """What was written since comes to the source too: the log stays small, and a reverse is quick."""
    if claim.move.progress.get(WAY_BACK) is None:
        return
    source, destination, token = await claim.source(), await claim.destination(), claim.move.token
    notes = await fences.take(source, token)
    async with destination.connected() as connection:
        schema = await read_schema(connection)
    try:
        async with destination.reading() as reader, source.writing(token) as writing:
            since = notes.snapshot or BEGINNING
            history, _, fingerprint = claim.move.progress[WAY_BACK].partition(" ")
            if fingerprint != schema.fingerprint:
                raise Lost(f"the schema of {destination.name} changed since the tenant came")
            persist = partial(fences.persist, destination, token)
            stepped = await stepping.step(reader, writing, schema, since, history=history, persist=persist)
    except Lost as lost:
        log.warning("way_back_lost", move=claim.move.move_id, reason=str(lost))
        await fences.capture(destination, token, wanted=False)
        await claim.tell(**{WAY_BACK: None})
    else:
        await removing.forget_logged(destination, token, stepped.snapshot)


async def taken(claim: Claim) -> bool:
    """Whether the rows that the reversed move left at this one's destination are good to go on from."""
    if claim.move.reverses is None:
        return False
    schema, source, destination = await claim.fitting(), await claim.source(), await claim.destination()
    reversed_move = await claim.moves.move(claim.move.reverses)
    origin = reversed_move.progress.get(WAY_BACK)
    if origin is None or origin != await origin_of(source):
        return False  # nobody kept it fresh, or its source has another history, or other tables, since
    copied = {chunks.progress_key(relation): chunks.Progress(done=True).as_json() for relation in schema.tables}
    notes = {"history": origin.partition(" ")[0], "schemas": schema.pair, TAKEN_BACK: True, **copied}
    await fences.hand_over(destination, claim.move.token, claim.move.reverses, claim.move.move_id, notes)
    claim.notes = await fences.take(destination, claim.move.token)
    return True


async def given_back(claim: Claim) -> bool:
    """Whether the reversed move has its rows again, which it goes on keeping fresh."""
    if claim.move.reverses is None:
        return False
    destination, notes = await claim.destination(), await claim.known()
    if not notes.progress.get(TAKEN_BACK):
        return False  # what is there is half a copy
    await fences.hand_over(destination, claim.move.token, claim.move.move_id, claim.move.reverses)
    epoch = await claim.moves.fresh_epoch()
    await fences.flip(destination, claim.move.token, epoch, "moved", held_for=claim.move.reverses)
    return True
