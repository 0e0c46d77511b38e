"""Which placement acts where only one may: its part in the election, for people and for the metrics page.

Publishing, reconciling, opening cells and looking at them are not among that: each is asked for by what the
directory says, changes nothing when it is done twice, and goes on in every placement.
"""

import os
import secrets
import socket

from directory.errors import Unavailable
from directory.leadership import Leadership, Terms
from directory.leading import Candidate
from placement import metrics
from runtime.health import Unhealthy

RESOURCE = "placement"


def candidate(leadership: Leadership, terms: Terms) -> Candidate:
    """This process's. Its name tells machine and process, and another one after each start."""
    owner = f"placement-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
    made = Candidate(leadership, terms, RESOURCE, owner)
    # Asked when the page is read: a process that was frozen leads no longer, before it has done anything.
    metrics.LEADS.labels(RESOURCE).set_function(lambda: 0 if made.term is None else 1)
    metrics.TERM.labels(RESOURCE).set_function(lambda: 0 if made.term is None else made.term.number)
    return made


async def check(made: Candidate, terms: Terms) -> str | None:
    """For `/health/ready`, where it is shown only: who does not lead serves all the same."""
    if made.term is not None:
        return f"leads in term {made.term.number}"
    try:
        latest = await terms.latest(made.resource)
    except Unavailable:
        raise Unhealthy("who leads is not known") from None
    if latest is None:
        raise Unhealthy("nobody leads yet")
    return f"follows {latest.owner}, who began term {latest.number}"
