"""Text types that a database can hold and a person can read: no NUL, no control characters, bounded."""

from typing import Annotated

from pydantic import StringConstraints

PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f]*$"
ID = r"^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$"

EMAIL = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,180}[A-Za-z0-9])?$"

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)]
"""One line for people: a display name, a reason."""

Identifier = Annotated[str, StringConstraints(max_length=40, pattern=ID)]
"""The last part of a resource's name, chosen by the client (AIP-122): a letter, then letters, digits, dashes."""

Email = Annotated[str, StringConstraints(max_length=250, pattern=EMAIL)]
"""A mail address as nearly all are (RFC 5321): no quoting, no comments, no line breaks."""

LabelKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=PRINTABLE)]
