"""Who leads: the processes that act where only one may."""

from datetime import datetime

from pydantic import Field

from directory.leadership import Leadership, Terms
from directory.values import Term
from runtime.api.endpoint import Call, Endpoint, Output, Reply


class ResourceLeader(Output):
    """Who began the latest term of a resource. The directory refuses what is decided in an earlier one."""

    resource: str
    leader: str
    term: int
    since: datetime
    leads: bool = Field(description="whether it holds the lock just now")


class LeaderList(Output):
    """Of each resource that was ever led."""

    leaders: list[ResourceLeader]


class LeaderHandlers:
    """The handler."""

    def __init__(self, leadership: Leadership, terms: Terms) -> None:
        self._leadership = leadership
        self._terms = terms

    def endpoints(self) -> list[Endpoint[None]]:
        """One."""
        summary = "List who leads, by resource"
        return [
            Endpoint("GET", "/v1/leaders", self.listed, summary, "listLeaders", {200: LeaderList}, tag="leaders")
        ]

    async def listed(self, _call: Call[None]) -> Reply:
        """In the order of the resources' names."""
        return Reply(body=LeaderList(leaders=[await self._shown(term) for term in await self._terms.all()]))

    async def _shown(self, term: Term) -> ResourceLeader:
        leads = await self._leadership.leader(term.resource) == term.owner
        return ResourceLeader(
            resource=term.resource, leader=term.owner, term=term.number, since=term.since, leads=leads
        )
