"""The audit log, to be read; and who asks."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints

from directory.audit import AuditEntry, AuditLog
from placement.access import OPERATOR
from placement.api.values import PARAMETERS, Page
from placement.rules.recording import TARGETS
from placement.rules.roles import ACTOR
from runtime.api.endpoint import Call, Endpoint, Output, Reply
from runtime.api.pages import PageTokens, page_size

MOMENT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-]\d{2}:\d{2})$"
KINDS = sorted({*PARAMETERS, *TARGETS.values()})


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        raise ValueError("not a time that can be told in UTC") from None


Moment = Annotated[str, StringConstraints(pattern=MOMENT), AfterValidator(lambda text: _moment(text) and text)]


class RecordedDecision(Output):
    """Who decided what, and what came of it."""

    number: int
    begin_time: datetime
    end_time: datetime | None = Field(description="null as long as nothing is known of its end")
    actor: str = Field(description="the name that the token carries; placement: it decided of its own accord")
    role: Literal["viewer", "operator", "admin", "placement"]
    action: str = Field(description="the operation, as this document calls it")
    targets: list[str] = Field(description="what it is about, such as tenant/acme")
    request_id: str
    outcome: str | None = Field(
        description="DONE, or the code of the problem; null: it goes on, or whoever made it died meanwhile"
    )
    detail: dict[str, Any] = Field(
        description="what was asked for and answered, without secrets or mail addresses"
    )

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """As operators see it."""
        return cls(
            number=entry.number,
            begin_time=entry.began_at,
            end_time=None if entry.outcome is None else entry.at,
            actor=entry.actor,
            role=entry.role,
            action=entry.action,
            targets=list(entry.targets),
            request_id=entry.request_id,
            outcome=entry.outcome,
            detail=dict(entry.detail),
        )


class DecisionPage(Output):
    """Some decisions, the newest first."""

    entries: list[RecordedDecision]
    next_page_token: str = Field(default="", description="empty on the last page")


class DecisionFilter(Page):
    """Which decisions."""

    actor: Annotated[str, StringConstraints(pattern=ACTOR)] | None = Field(
        default=None, description="only of them"
    )
    action: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{1,100}$")] | None = Field(
        default=None, description="only this operation"
    )
    target: Annotated[str, StringConstraints(pattern=r"^(?:[a-z]{1,20}/)?[A-Za-z0-9._-]{1,100}$")] | None = Field(
        default=None, description="only about this: tenant/acme, or acme for whatever is called so"
    )
    since: Moment | None = Field(default=None, description="RFC 3339, such as 2030-01-31T08:00:00Z")
    until: Moment | None = Field(default=None, description="RFC 3339; not included")


class Me(Output):
    """Whose the token is."""

    name: str
    role: Literal["viewer", "operator", "admin"]


class AuditHandlers:
    """The handlers."""

    def __init__(self, entries: AuditLog, tokens: PageTokens) -> None:
        self._entries = entries
        self._tokens = tokens

    def endpoints(self) -> list[Endpoint[None]]:
        """Two; nothing here is ever changed."""
        return [
            Endpoint(
                "GET", "/v1/audit", self.listed, "List who decided what, the newest first", "listDecisions",
                {200: DecisionPage}, query=DecisionFilter, tag="audit",
            ),
            Endpoint(
                "GET", "/v1/whoami", self.whoami, "Tell whose the token is", "whoami", {200: Me}, tag="audit"
            ),
        ]  # fmt: skip

    async def listed(self, call: Call[None]) -> Reply:
        """Each once, by its end when that is known."""
        query: DecisionFilter = call.query
        wanted = (query.actor, query.action, query.target, query.since, query.until)
        made_for = ("audit", *(part or "" for part in wanted))
        before = int(self._tokens.open(made_for, query.page_token)[0]) if query.page_token else None
        size = page_size(query.page_size)
        found = await self._entries.entries(
            before=before,
            limit=size + 1,
            actor=query.actor,
            action=query.action,
            targets=None if query.target is None else _targets(query.target),
            since=None if query.since is None else _moment(query.since),
            until=None if query.until is None else _moment(query.until),
        )
        more = self._tokens.seal(made_for, [found[size - 1].number]) if len(found) > size else ""
        shown = [RecordedDecision.of(entry) for entry in found[:size]]
        return Reply(body=DecisionPage(entries=shown, next_page_token=more))

    async def whoami(self, call: Call[None]) -> Reply:
        """Nobody else's name is told."""
        operator = call.request[OPERATOR]
        return Reply(body=Me(name=operator.name, role=operator.role))


def _targets(text: str) -> list[str]:
    return [text] if "/" in text else [f"{kind}/{text}" for kind in KINDS]
