"""A move that is given up before its commit leaves the source as it was, and nothing in the destination."""

from migration import fences, removing, switching
from migration.catalog import read_schema
from migration.claim import Claim
from migration.phases import way_back


async def aborting(claim: Claim) -> None:
    """The source first: it is in use, and the destination may be away for long."""
    source = await claim.source()
    await switching.open_source(claim)
    if not await way_back.given_back(claim):
        await fences.capture(source, claim.move.token, wanted=False)
        await removing.forget_logged(source, claim.move.token)
        await _leave(claim)
    await claim.record("aborted")


async def _leave(claim: Claim) -> None:
    """Nothing of the tenant is left in the destination."""
    destination, token = await claim.destination(), claim.move.token
    async with destination.connected() as connection:
        schema = await read_schema(connection)
    known = await fences.look(destination)
    if known is not None and known.state == "importing":
        await removing.remove_rows(destination, token, schema)
        await fences.flip(destination, token, await claim.moves.fresh_epoch(), "moved")
