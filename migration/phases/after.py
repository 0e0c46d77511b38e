"""After the switch: the source lets go of the tenant, its rows stay a while for the way back, and then they go."""

from directory.errors import NotAllowed
from migration import fences, removing
from migration.catalog import read_schema
from migration.claim import Claim
from migration.phases import way_back

BACK_SECONDS = 30.0
"""Between two steps that keep the way back fresh."""


async def activated(claim: Claim) -> None:
    """The source says to whoever still comes that the tenant has moved."""
    source, epoch = await claim.source(), claim.move.epochs["commit"]
    await fences.flip(source, claim.move.token, epoch, "moved", captured=False)
    await claim.record("drain")


async def draining(claim: Claim) -> float:
    """Nobody asks any more for what was logged at the source."""
    await removing.forget_logged(await claim.source(), claim.move.token)
    await claim.record("keep")
    return BACK_SECONDS


async def reversible(claim: Claim) -> float | None:
    """Close the way back when its time is over or an operator has confirmed; until then, keep it fresh."""
    try:
        await claim.record("clean", text="the way back is closed")
    except NotAllowed:
        await way_back.freshen(claim)
        await claim.goes_on()
        return BACK_SECONDS
    return None


async def cleaning(claim: Claim) -> None:
    """Without a way back, neither its log nor the source's rows are of any use."""
    destination = await claim.destination()
    await fences.capture(destination, claim.move.token, wanted=False)
    await removing.forget_logged(destination, claim.move.token)
    await claim.tell(**{way_back.WAY_BACK: None})
    source = await claim.source()
    async with source.connected() as connection:
        schema = await read_schema(connection)
    await removing.remove_rows(source, claim.move.token, schema)
    await claim.record("done")


async def reversing(claim: Claim) -> None:
    """Its reverse has ended: by having brought the tenant back, or not."""
    tenant = await claim.directory.tenant(claim.move.tenant_id)
    home = tenant.assignment.cell_id if tenant.assignment is not None else None
    await claim.record("reversed" if home == claim.move.source else "keep")
