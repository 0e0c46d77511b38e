"""Where one placement acts, there is one."""

from directory.control.contract import Check
from directory.leadership import Leadership, Terms
from placement.leader import RESOURCE

NAME = "one placement leads"


async def led(leadership: Leadership, terms: Terms) -> list[Check]:
    """Somebody holds the lock, and has taken a number for it."""
    leader, latest = await leadership.leader(RESOURCE), await terms.latest(RESOURCE)
    if leader is not None and latest is not None and latest.owner == leader:
        return [Check(name=NAME, ok=True, detail=f"{leader} in term {latest.number}")]
    found = "nobody holds the lock" if leader is None else f"{leader} holds the lock, and has taken no number"
    remedy = "plans wait and all else goes on; see placement's log, and whether it reaches its lock"
    return [Check(name=NAME, ok=False, detail=found, remedy=remedy)]
