"""What customers are written to, and to which addresses. Pure.

Facts come from customers too, so whatever is not printable becomes a space: no fact can begin a new header.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cell.errors import Unfit
from runtime.api.texts import EMAIL

_ADDRESS = re.compile(EMAIL.removesuffix("$") + r"\Z")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail. `subject` is one line."""

    recipient: str
    subject: str
    body: str


TEXTS: Mapping[str, tuple[str, str]] = {
    "welcome": (
        "Welcome, {customer}",
        "Your account {account} and its first namespace {namespace} are ready.\n",
    ),
    "trial_over": (
        "Your trial is over",
        "Your trial of the plan {plan} has ended. Everything goes on for {days} more days;\n"
        "choose a plan within them, and nothing is interrupted.\n",
    ),
    "unpaid": (
        "Your subscription is suspended",
        "The days after your trial have passed. Your data is kept; choose a plan to go on.\n",
    ),
    "plan_changed": (
        "Your plan is now {plan}",
        "The limits of the plan {plan} hold from now on.\n",
    ),
    "suspended": (
        "Your subscription is suspended",
        "The operator has suspended your subscription. Your data is kept, and nothing is charged meanwhile.\n",
    ),
    "resumed": (
        "Your subscription goes on",
        "Your subscription is active again.\n",
    ),
    "leaving": (
        "Your data will be deleted in {days} days",
        "Your subscription was cancelled. All data is deleted in {days} days. Until then it can be exported, and\n"
        "you can change your mind by cancelling the operation {operation}.\n",
    ),
}
"""name → subject and body, with the facts that they show."""


def letter(name: str, recipient: str, facts: Mapping[str, Any]) -> Letter:
    """One of the texts. Unfit: no such address, or a fact is missing."""
    if _ADDRESS.match(recipient) is None:
        raise Unfit("this is no mail address")
    shown = {key: _UNPRINTABLE.sub(" ", str(value))[:MOST_CHARACTERS] for key, value in facts.items()}
    try:
        subject, body = (text.format_map(shown) for text in TEXTS[name])
    except KeyError as missing:
        raise Unfit(f"the mail {name!r} lacks {missing}") from None
    return Letter(recipient, subject, body)
