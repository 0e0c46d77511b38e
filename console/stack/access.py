"""What each token may do in a Consul: the policies of docs/operations/consul.md, a service finer.

A token is made with the secret that its program has. What is there already is brought to what it should be;
nothing is taken away.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from console.calls import Service
from console.errors import Later, Refused

POLICIES: Mapping[str, str] = {
    "agent": """
        node_prefix "" { policy = "write" }
        service_prefix "" { policy = "read" }
    """,
    "cell": """
        service "cellway-cell" { policy = "write" }
        service "cellway-worker" { policy = "write" }
    """,
    "mover": """
        service "cellway-mover" { policy = "write" }
    """,
    "router": """
        service "cellway-router" { policy = "write" }
        key "cellway/position" { policy = "read" }
    """,
    "placement": """
        service "cellway-placement" { policy = "write" }
        service_prefix "cellway-" { policy = "read" }
        node_prefix "" { policy = "read" }
        session_prefix "" { policy = "write" }
        key_prefix "cellway/leaders" { policy = "write" }
        key "cellway/position" { policy = "write" }
    """,
    "watch": """
        agent_prefix "" { policy = "read" }
    """,
}
"""By who has it; `watch` reads metrics."""
_NAMES = uuid.UUID("6d2f7f0c-5f52-4d44-9d6c-0b8c2b1f6a5e")
"""Of accessors: a token is found again by what follows from its secret and cannot be turned back into it."""


@dataclass(frozen=True, slots=True)
class Token:
    """Who has it, and its secret."""

    who: str
    secret: str = field(repr=False)

    @property
    def accessor(self) -> str:
        return str(uuid.uuid5(_NAMES, self.secret))


def settle(consul: Service, tokens: Sequence[Token], seconds: float = 60.0) -> None:
    """Policies first, then tokens; patient while the servers choose a leader. Later, Refused, NotRunning."""
    end = time.monotonic() + seconds
    while True:
        try:
            _settle(consul, tokens)
            return
        except Later:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def _settle(consul: Service, tokens: Sequence[Token]) -> None:
    known = {policy["Name"]: policy["ID"] for policy in _call(consul, "GET", "/v1/acl/policies") or []}
    for who in sorted({token.who for token in tokens}):
        name = f"cellway-{who}"
        path = f"/v1/acl/policy/{known[name]}" if name in known else "/v1/acl/policy"
        about = {"ID": known[name]} if name in known else {}
        _call(consul, "PUT", path, {**about, "Name": name, "Rules": POLICIES[who]})
    made = {token["AccessorID"] for token in _call(consul, "GET", "/v1/acl/tokens") or []}
    for token in tokens:
        body = {
            "AccessorID": token.accessor,
            "SecretID": token.secret,
            "Description": token.who,
            "Policies": [{"Name": f"cellway-{token.who}"}],
        }
        path = f"/v1/acl/token/{token.accessor}" if token.accessor in made else "/v1/acl/token"
        _call(consul, "PUT", path, body)


def _call(consul: Service, method: str, path: str, body: Any = None) -> Any:
    """Consul's errors are text, and those with 500 mostly mean that nobody leads."""
    response = consul.send(method, path, body)
    if response.is_success:
        return response.json()
    if response.status_code >= 500:
        raise Later(f"Consul is not ready: {response.text[:200]}")
    raise Refused(f"Consul refuses {method} {path.split('/')[3]}: {response.status_code} {response.text[:200]}")
