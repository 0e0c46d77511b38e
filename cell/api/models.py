"""Requests and answers. Bytes become values here; unknown fields are refused."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, StringConstraints

from cell.rules.labels import MOST_LABELS
from cell.rules.operations import OperationState
from cell.rules.states import NamespaceState
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


class Live(Output):
    """The process answers."""

    live: bool
