"""Types of fields that several resources share, and reading names out of paths."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from directory.rules.moves import MOVE_ID
from directory.rules.names import NAME, is_name
from directory.rules.planning import PLAN_ID
from runtime.api.endpoint import Input
from runtime.api.problem import not_found
from runtime.api.texts import PRINTABLE

LABEL = r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$"
KEY = r"^[A-Za-z0-9_-]{1,64}$"

Name = Annotated[str, StringConstraints(pattern=NAME)]
"""A tenant's or a cell's name."""
Label = Annotated[str, StringConstraints(pattern=LABEL)]
"""A region, a plan, a tag."""
Origin = Annotated[str, StringConstraints(min_length=1, max_length=300)]
"""An address such as http://10.0.0.7:8000; the directory's rules say which ones may be used."""
Version = Annotated[str, StringConstraints(max_length=100, pattern=PRINTABLE)]

PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "tenant": {"type": "string", "pattern": NAME},
    "cell": {"type": "string", "pattern": NAME},
    "key": {"type": "string", "pattern": KEY},
    "move": {"type": "string", "pattern": MOVE_ID},
    "plan": {"type": "string", "pattern": PLAN_ID},
    "orchestration": {"type": "string", "pattern": KEY},
}


class Page(Input):
    """Which page of a list."""

    page_size: int = Field(default=0, ge=0, description="how many at most; 0: 20, more than 100: 100")
    page_token: str = Field(default="", max_length=1000, description="`next_page_token` of the page before")


def name(path: Mapping[str, str], what: str) -> str:
    """The name in the path; what cannot be one is simply not found."""
    text = path[what]
    if not is_name(text):
        raise not_found(what, text)
    return text
