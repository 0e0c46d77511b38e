"""The way back: the rows that a move left in its source, kept fresh until nobody may want the tenant back there.

A reverse is a move of its own. It takes these rows over, and gives them back when it is given up.
"""

from functools import partial

from migration import fences, removing, stepping
from migration.catalog import read_schema
from migration.claim import Claim
from migration.ends import End
from migration.errors import Lost
from migration.rules import chunks
from runtime import logs

log = logs.get("migration")
WAY_BACK = "way_back"
"""In a move's progress: the history of the server whose log leads back; None: there is no way back but a copy."""
TAKEN_BACK = "taken_back"
"""In a reverse's notes: the rows are those that the reversed move left, and brought on."""
BEGINNING = "3:3:"
"""A snapshot that sees nothing: all that was logged came after it."""


async def history_of(end: End) -> str:
    """From which server's log the way back could be gone."""
    async with end.reading() as reader:
        return await reader.history()


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
            since, history = notes.snapshot or BEGINNING, claim.move.progress[WAY_BACK]
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
    history = reversed_move.progress.get(WAY_BACK)
    if history is None or history != await history_of(source):
        return False  # nobody kept it fresh, or its source is not the server that it was
    copied = {chunks.progress_key(relation): chunks.Progress(done=True).as_json() for relation in schema.tables}
    notes = {"history": history, TAKEN_BACK: True, **copied}
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
