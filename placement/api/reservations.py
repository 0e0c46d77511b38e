"""Room that is kept for a tenant that is expected: reserve, look at, give up."""

import re
from datetime import datetime
from typing import Any, ClassVar, Self

from pydantic import Field

from directory import reservations
from directory.rules.reservations import LONGEST_SECONDS, RESERVATION_ID
from placement.api.placements import Placement, TakenRoom, Wanted
from placement.api.values import Page
from placement.choosing import Chooser
from runtime.api.endpoint import Call, Endpoint, Output, Reply
from runtime.api.pages import PageTokens, page_size
from runtime.api.problem import not_found

USUAL_SECONDS = 600
_RESERVATION_ID = re.compile(RESERVATION_ID.removesuffix("$") + r"\Z")


class NewReservation(Wanted):
    """Room as it is asked for: for a tenant like this, and for how long."""

    recorded: ClassVar[frozenset[str]] = frozenset({"ttl_seconds"}) | Wanted.recorded

    ttl_seconds: int = Field(
        default=USUAL_SECONDS, ge=1, le=LONGEST_SECONDS, description="after so long it is free again by itself"
    )


class Reservation(Output):
    """Room in a cell, kept for a tenant: `POST /v1/tenants` names it, and uses it up."""

    reservation_id: str
    cell_id: str
    takes: TakenRoom = Field(description="what is kept; a tenant that takes more does not fit")
    plan: str
    region: str | None
    tags: list[str]
    dedicated_to: str | None
    holds: bool = Field(description="false: its time is over, and it is soon removed")
    create_time: datetime
    expire_time: datetime

    @classmethod
    def of(cls, kept: reservations.Reservation) -> Self:
        """As operators see it."""
        return cls.model_validate(_fields(kept))


class MadeReservation(Reservation):
    """Room just reserved, and why there."""

    placement: Placement


class ReservationPage(Output):
    """Some reservations, the oldest first."""

    reservations: list[Reservation]
    next_page_token: str = Field(default="", description="empty on the last page")


class ReservationHandlers:
    """The handlers."""

    def __init__(self, kept: reservations.Reservations, chooser: Chooser, tokens: PageTokens) -> None:
        self._kept = kept
        self._chooser = chooser
        self._tokens = tokens

    def endpoints(self) -> list[Endpoint[None]]:
        """In the order of a reservation's life."""
        one, tag = "/v1/reservations/{reservation}", "placements"
        return [
            Endpoint(
                "POST", "/v1/reservations", self.reserve, "Reserve room in the best cell for a while",
                "reserveRoom", {201: MadeReservation}, body=NewReservation, errors=(429,), tag=tag,
            ),
            Endpoint(
                "GET", "/v1/reservations", self.listed, "List reservations, the oldest first", "listReservations",
                {200: ReservationPage}, query=Page, tag=tag,
            ),
            Endpoint("GET", one, self.get, "Look at a reservation", "getReservation", {200: Reservation}, tag=tag),
            Endpoint(
                "DELETE", one, self.cancel, "Give a reservation up: its room is free again", "cancelReservation",
                {204: None}, tag=tag,
            ),
        ]  # fmt: skip

    async def reserve(self, call: Call[None]) -> Reply:
        """In the cell in which such a tenant would be created now."""
        body: NewReservation = call.body
        kept, choice = await self._chooser.reserve(body.value(), body.ttl_seconds)
        return Reply(201, MadeReservation.model_validate({**_fields(kept), "placement": Placement.of(choice)}))

    async def listed(self, call: Call[None]) -> Reply:
        """By id, which is by time."""
        query: Page = call.query
        after = str(self._tokens.open(("reservations",), query.page_token)[0]) if query.page_token else ""
        size = page_size(query.page_size)
        found = await self._kept.reservations(after, size + 1)
        more = self._tokens.seal(("reservations",), [found[size - 1].reservation_id]) if len(found) > size else ""
        shown = [Reservation.of(each) for each in found[:size]]
        return Reply(body=ReservationPage(reservations=shown, next_page_token=more))

    async def get(self, call: Call[None]) -> Reply:
        """Until it is used, given up, or some seconds over."""
        return Reply(body=Reservation.of(await self._kept.reservation(_name(call))))

    async def cancel(self, call: Call[None]) -> Reply:
        """For good."""
        await self._chooser.cancel(_name(call))
        return Reply(204)


def _name(call: Call[None]) -> str:
    name = call.path["reservation"]
    if _RESERVATION_ID.match(name) is None:
        raise not_found("reservation", name)
    return name


def _fields(kept: reservations.Reservation) -> dict[str, Any]:
    return {
        "reservation_id": kept.reservation_id,
        "cell_id": kept.cell_id,
        "takes": TakenRoom.of(kept.takes),
        "plan": kept.plan,
        "region": kept.region,
        "tags": list(kept.tags),
        "dedicated_to": kept.dedicated_to or None,
        "holds": kept.holds,
        "create_time": kept.created_at,
        "expire_time": kept.until,
    }
