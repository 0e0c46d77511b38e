"""A cell is chosen and the directory is asked for room in it, until one of both says no for good.

Whoever comes second to the last room of a cell chooses anew, from a picture in which that room is gone. Each time
somebody else has got it, so it is no loop; but it ends.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from directory.errors import CellFull, Stale, Unavailable
from directory.reservations import Booking, NewReservation, Reservation, Reservations
from placement import metrics
from placement.balancing.choosing import Choice, Explanation, Nowhere
from placement.rooms import Rooms
from placement.rules.picturing import Wanted
from runtime import logs
from runtime.api.problem import ApiError

log = logs.get("placement.choosing")

MOST_CHOICES = 20
MOST_REASONS = 20
ResultT = TypeVar("ResultT")


class Chooser:
    """Chooses cells for tenants that come, and for those that may."""

    def __init__(self, reservations: Reservations, rooms: Rooms) -> None:
        self._reservations = reservations
        self._rooms = rooms

    async def settle(
        self, wanted: Wanted, record: Callable[[str, Booking], Awaitable[ResultT]]
    ) -> tuple[ResultT, Choice]:
        """What `record` made of the best cell that had the room. ApiError 429 or 503; Unavailable."""
        for _ in range(MOST_CHOICES):
            found = await self._rooms.choose(wanted)
            if isinstance(found, Nowhere):
                raise nowhere(found)
            choice, booking = found
            try:
                with self._rooms.expect(choice.cell_id, booking.takes) as coming:
                    made = await record(choice.cell_id, booking)
                    self._rooms.arrived(coming)
                return made, choice
            except (CellFull, Stale) as error:
                log.info("chosen_again", cell=choice.cell_id, reason=str(error))
                metrics.CHOSEN_AGAIN.inc()
                self._rooms.outdate()
        raise Unavailable("cells fill up faster than one can be chosen: try again")

    async def reserve(self, wanted: Wanted, seconds: float) -> tuple[Reservation, Choice]:
        """Room in the best cell. BadReservation; TooMany; ApiError 429 or 503; Unavailable."""

        async def record(cell_id: str, booking: Booking) -> Reservation:
            new = NewReservation(cell_id, seconds, wanted.plan, wanted.region, wanted.tags, wanted.dedicated_to)
            return await self._reservations.reserve(new, booking)

        made, choice = await self.settle(wanted, record)
        log.info("room_reserved", reservation=made.reservation_id, cell=made.cell_id, until=made.until.isoformat())
        return made, choice

    async def cancel(self, reservation_id: str) -> None:
        """NotFound."""
        await self._reservations.cancel(reservation_id)
        log.info("reservation_cancelled", reservation=reservation_id)
        self._rooms.outdate()

    async def reservation(self, reservation_id: str) -> Reservation:
        """NotFound."""
        return await self._reservations.reservation(reservation_id)

    async def explain(self, wanted: Wanted) -> Explanation:
        """What would be chosen just now, and why; nothing is reserved. Unavailable."""
        return await self._rooms.explain(wanted)


def nowhere(found: Nowhere) -> ApiError:
    """A fleet without room is a quota: trying again is useless until an operator adds capacity.

    Only when a cell that would do is just joining does time help, and then 503 says so.
    """
    metrics.NOWHERE.inc()
    reasons = {"reasons": list(found.reasons[:MOST_REASONS])}
    if found.passing:
        return ApiError("UNAVAILABLE", "no cell is open for this tenant yet, one is joining", metadata=reasons)
    message = f"no cell can take this tenant: {found.reasons[0]}; register a cell, or raise a capacity"
    return ApiError("RESOURCE_EXHAUSTED", message, retryable=False, metadata=reasons)
