"""What can be asked of parties outside. Each method gives the `Party` that a step acts at.

`What` tells the party what is wanted, from the orchestration's payload and from what earlier steps made; the key
is the call's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cell.orchestrator.actions import Call, Party

What = Callable[[Call], Mapping[str, Any]]


class Identity(Protocol):
    """Who knows a customer's people."""

    def organisation(self, what: What) -> Party:
        """`display_name`, `email` of its first admin → `organisation_id`, `user_id`."""


class Billing(Protocol):
    """Who charges a customer."""

    def subscribe(self, what: What) -> Party:
        """`plan`, `trial_seconds` or None → `subscription_id`, `trial_ends_at` or None."""

    def change_plan(self, what: What) -> Party:
        """`plan` → `plan`. It ends a trial: from now on the customer pays."""

    def pause(self, what: What) -> Party:
        """Nothing is charged from now on."""

    def resume(self, what: What) -> Party:
        """It goes on as before the pause; one that is not paused stays as it is."""

    def close(self, what: What) -> Party:
        """The last invoice, and nothing is ever charged again → `invoice_id`."""


class Mail(Protocol):
    """Who writes to a customer."""

    def letter(self, what: What) -> Party:
        """`letter` (a name in `rules/letters`), `recipient`, and the facts it shows → `message_id`."""


class Resources(Protocol):
    """What takes long to be made, and so is prepared."""

    def take(self, what: What) -> Party:
        """`kind` → `resource_id`."""

    def give_back(self, what: What) -> Party:
        """`resource_id`, or None → nothing. Whoever had it has it no more."""


@dataclass(frozen=True, slots=True)
class Parties:
    """All of them."""

    identity: Identity
    billing: Billing
    mail: Mail
    resources: Resources
