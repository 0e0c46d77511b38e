"""Requests and answers. Bytes become values here; unknown fields are refused."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)

from cell.rules.labels import MOST_LABELS
from cell.rules.meters import MeterName, StepName
from cell.rules.operations import OperationState
from cell.rules.quotas import QuotaName
from cell.rules.states import NamespaceState
from cell.rules.subscriptions import RETENTION_DAYS, SubscriptionState
from directory.rules.plans import PLANS, check_plan
from runtime.api.endpoint import Input, Output
from runtime.api.texts import PRINTABLE, Identifier, LabelKey, LabelValue, Line

# The document must say that no other key is possible: pydantic names the pattern and leaves it at that.
_CLOSED: dict[str, JsonValue] = {"additionalProperties": False}
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=MOST_LABELS, json_schema_extra=_CLOSED)]
LabelPatch = Annotated[
    dict[LabelKey, LabelValue | None], Field(max_length=2 * MOST_LABELS, json_schema_extra=_CLOSED)
]
Expression = Annotated[str, StringConstraints(max_length=1000, pattern=PRINTABLE)]
Token = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[A-Za-z0-9_-]*$")]


LARGEST_NUMBER = 2**53 - 1
"""The largest whole number that every reader of JSON understands (RFC 8259, 6)."""
FIRST_YEAR, LAST_YEAR = 2000, 9000
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class ListQuery(Input):
    """What every list takes."""

    page_size: int = Field(default=0, ge=0, le=2**31 - 1, description="0: 20; more than 100: 100")
    page_token: Token = Field(default="", description="next_page_token of the page before")
    filter: Expression = Field(default="", description="AIP-160, such as: labels.env = prod")
    order_by: Expression = Field(default="", description="such as: create_time desc")
    include_total_size: bool = Field(default=False, description="count all that match, too")


class Page(Output):
    """What every list answers besides its items."""

    next_page_token: str = Field(description="empty on the last page")
    total_size: int | None = Field(default=None, description="when asked for")


class NewAccount(Input):
    """An account to be created. `account_id` becomes the last part of its name."""

    account_id: Identifier
    display_name: Line
    labels: Labels = Field(default_factory=dict)


class AccountPatch(Input):
    """Changes by RFC 7396: what is absent stays; a label set to null goes."""

    display_name: Line = ""
    labels: LabelPatch | None = None


class Account(Output):
    """A customer's account within the tenant."""

    name: str
    display_name: str
    labels: dict[str, str]
    etag: str
    create_time: datetime
    update_time: datetime


class AccountPage(Page):
    """A page of accounts."""

    accounts: list[Account]


class NewNamespace(Input):
    """A namespace to be provisioned."""

    namespace_id: Identifier
    display_name: Line
    labels: Labels = Field(default_factory=dict)


class NamespacePatch(AccountPatch):
    """Changes by RFC 7396."""


class Namespace(Output):
    """A namespace of an account. `endpoint` and `settings` are there once it was provisioned."""

    name: str
    display_name: str
    labels: dict[str, str]
    state: NamespaceState
    endpoint: str | None
    settings: dict[str, Any]
    etag: str
    create_time: datetime
    update_time: datetime


class NamespacePage(Page):
    """A page of namespaces."""

    namespaces: list[Namespace]


def _whole(given: Any) -> Any:
    """To JSON Schema 1.0 is an integer too (draft 2020-12, validation, 6.1.1)."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


class StoragePatch(Input):
    """What a namespace is going to hold, all of it: to say it twice changes nothing."""

    bytes: Annotated[int, BeforeValidator(_whole)] = Field(ge=0, le=LARGEST_NUMBER)


class Storage(Output):
    """What a namespace holds. It counts for the quota of all namespaces together."""

    name: str
    bytes: int
    etag: str
    update_time: datetime


class NewKey(Input):
    """An API key to be created."""

    display_name: Line


class Nothing(Input):
    """An empty object."""


class Key(Output):
    """An API key. `api_key` is the secret, present only in the answer that made it."""

    name: str
    display_name: str
    state: Literal["ACTIVE", "REVOKED"]
    create_time: datetime
    revoke_time: datetime | None
    api_key: str | None = None


class KeyPage(Page):
    """A page of API keys."""

    keys: list[Key]


class Progress(Output):
    """How far a long-running operation is."""

    step: str | None = Field(description="the step that is next or being done; null at the end")
    steps_done: int
    steps: list[str]


class OperationError(Output):
    """Why an operation failed."""

    code: str
    message: str


class Operation(Output):
    """Long-running work. `target` is the resource that it is about."""

    name: str
    type: str
    target: str
    state: OperationState
    progress: Progress
    cancel_requested: bool
    error: OperationError | None
    create_time: datetime
    update_time: datetime
    poll_after_seconds: float = Field(description="when to ask again; 0: it has ended")


class OperationPage(Page):
    """A page of operations."""

    operations: list[Operation]


class WaitQuery(Input):
    """How long to wait."""

    timeout_seconds: float = Field(default=10.0, ge=0, le=30, allow_inf_nan=False)


PlanName = Annotated[
    str,
    StringConstraints(max_length=40),
    AfterValidator(check_plan),
    WithJsonSchema({"type": "string", "enum": sorted(PLANS)}),
]


class PlanChange(Input):
    """The plan to change to: an upgrade at once, a downgrade when what there is fits into it."""

    plan: PlanName


class Leaving(Input):
    """Leaving for good. The data is kept for so long, and can be had back until then."""

    retention_days: Annotated[int, BeforeValidator(_whole)] = Field(
        default=RETENTION_DAYS[0], ge=RETENTION_DAYS[0], le=RETENTION_DAYS[1]
    )


class Subscription(Output):
    """What the tenant has paid for. `operation` changes it at this moment."""

    plan: str
    state: SubscriptionState
    trial_end_time: datetime | None
    operation: str | None
    create_time: datetime
    update_time: datetime


class QuotaShare(Output):
    """One quota: `limit` is what the plan gives, `used` what there is of it."""

    quota: QuotaName
    limit: int
    used: int


class QuotaReport(Output):
    """What the tenant's plan gives, and what is used of it."""

    plan: str
    quotas: list[QuotaShare]


def _moment(given: Any) -> datetime:
    """RFC 3339, 5.6; in UTC, and of a time in which something can have been used."""
    if not isinstance(given, str) or _MOMENT.fullmatch(given) is None:
        raise ValueError("an RFC 3339 time such as 2026-01-31T12:00:00Z is expected")
    parsed = datetime.fromisoformat(given.upper())
    if not FIRST_YEAR <= parsed.year <= LAST_YEAR:
        raise ValueError(f"the years from {FIRST_YEAR} to {LAST_YEAR} are known")
    return parsed.astimezone(UTC)


_SCHEMA: dict[str, JsonValue] = {"type": "string", "format": "date-time"}
Moment = Annotated[datetime | None, PlainValidator(_moment), WithJsonSchema(_SCHEMA)]


class UsageQuery(Input):
    """What was used, from when to when, and by which steps."""

    meter: MeterName
    start: Moment = Field(default_factory=lambda: None, description="by default a day before the end")
    end: Moment = Field(default_factory=lambda: None, description="by default now")
    step: StepName = "hour"


class Bucket(Output):
    """What was used within one step that begins at `start`."""

    start: datetime
    quantity: int


class Usage(Output):
    """What was used from `start` up to `end`, which lie at whole steps. Steps without any use are left out."""

    meter: MeterName
    unit: str = Field(description="what a quantity of 1 is")
    start: datetime
    end: datetime
    step: StepName
    total: int
    buckets: list[Bucket]


class AuditEntry(Output):
    """Who changed what. `before`: null when it was made, `after`: null when it is gone."""

    name: str
    create_time: datetime
    actor: str = Field(description="keys/… : an API key of the tenant; operator; worker")
    action: str
    target: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None


class AuditPage(Page):
    """A page of the audit log."""

    entries: list[AuditEntry]


class Live(Output):
    """The process answers."""

    live: bool
