"""What of a request and its answer the audit log keeps: what was said to be kept, and nothing else. Pure.

A body's model lists the fields that may be kept (`Input.recorded`). Of what is listed, values that look like a
secret or a mail address are left out all the same: people put things where they do not belong.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from directory.errors import BadAddress
from directory.rules import addresses
from runtime.api.endpoint import Input

MOST_TEXT = 200
MOST_ITEMS = 20
MOST_BYTES = 8_000
LEFT_OUT = "(left out)"
TARGETS: Mapping[str, str] = {
    "tenant_id": "tenant",
    "cell_id": "cell",
    "source": "cell",
    "destination": "cell",
    "move_id": "move",
    "plan_id": "plan",
    "reservation_id": "reservation",
    "key_id": "key",
}
"""Fields of bodies and answers that name what a decision is about."""
ANSWERED = ("state", "phase", "operation", "jobs", "left")
"""Fields of answers that tell what came of it."""
_SECRET = re.compile(r"@|(?<![a-z])(?:ck|op)_")


def body(told: BaseModel | None) -> dict[str, Any]:
    """What is kept of a body, and the names of what was given and is not."""
    if not isinstance(told, Input):
        return {}
    return _bounded(_fields(told))


def detail(told: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of what placement says about a decision of its own."""
    return _bounded({name: kept(value) for name, value in told.items()})


def answer(told: object) -> dict[str, Any]:
    """What is kept of an answer."""
    if not isinstance(told, BaseModel):
        return {}
    found = {name: getattr(told, name, None) for name in ANSWERED}
    chosen = getattr(told, "placement", None)
    return {
        **{name: kept(value) for name, value in found.items() if isinstance(value, str | int)},
        **({"placement": _chosen(chosen)} if isinstance(chosen, BaseModel) else {}),
    }


def _chosen(placement: BaseModel) -> dict[str, Any]:
    """Which cell, and the first reason: the others are in the answer."""
    reasons = getattr(placement, "reasons", None) or [""]
    told = {"cell_id": getattr(placement, "cell_id", ""), "score": getattr(placement, "score", None)}
    return {**{name: kept(value) for name, value in told.items()}, "reason": kept(reasons[0])}


def targets(told: object) -> tuple[str, ...]:
    """What a body or an answer is about, such as `tenant/acme`."""
    if not isinstance(told, BaseModel):
        return ()
    may = told.recorded if isinstance(told, Input) else frozenset(TARGETS)
    found = [(kind, getattr(told, name, None)) for name, kind in TARGETS.items() if name in may]
    return tuple(f"{kind}/{kept(value)}" for kind, value in found if isinstance(value, str) and value)


def targets_of_path(path: Mapping[str, str], forms: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """What a path names; `forms`: the schemas of its parameters. What cannot be a name is a question mark."""
    return tuple(f"{kind}/{_name(value, forms.get(kind, {}))}" for kind, value in path.items())


def kept(value: Any) -> Any:
    """A value as it may be kept: bounded, and nothing in it that looks like a secret."""
    if isinstance(value, Input):
        return _fields(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        more = [f"and {len(value) - MOST_ITEMS} more"] if len(value) > MOST_ITEMS else []
        return [*(kept(item) for item in value[:MOST_ITEMS]), *more]
    if isinstance(value, Mapping):
        return {_text(str(name)): kept(part) for name, part in list(value.items())[:MOST_ITEMS]}
    return LEFT_OUT


def _bounded(told: dict[str, Any]) -> dict[str, Any]:
    return told if len(json.dumps(told)) <= MOST_BYTES else {"left_out": sorted(told)[:MOST_ITEMS]}


def _fields(told: Input) -> dict[str, Any]:
    given = sorted(told.model_fields_set)
    found = {name: kept(getattr(told, name)) for name in given if name in told.recorded}
    hidden = [name for name in given if name not in told.recorded]
    return {**found, "left_out": hidden} if hidden else found


def _text(value: str) -> str:
    if not value.isprintable() or _SECRET.search(value):
        return LEFT_OUT
    if "://" in value:
        try:
            return addresses.check_origin(value)
        except BadAddress:
            return LEFT_OUT
    return value if len(value) <= MOST_TEXT else value[:MOST_TEXT] + "…"


def _name(value: str, form: Mapping[str, Any]) -> str:
    pattern = str(form.get("pattern", "^$")).removesuffix("$") + r"\Z"
    return "?" if re.match(pattern, value) is None or _SECRET.search(value) else value
