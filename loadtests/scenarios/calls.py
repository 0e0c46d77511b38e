"""What a tenant's client asks. Each call returns the status by which the request is counted."""

import itertools
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.scenarios.connections import Answer, Connections, Unanswered
from loadtests.scenarios.rules.arrivals import OPERATIONS
from loadtests.scenarios.rules.samples import SILENT, WRONG

WAIT_SECONDS = 20
MOST_WAITS = 3
"""After so many waits an operation that has not ended is too late."""
MOST_NAMESPACES = 100
"""Of a tenant; from then on each that is made replaces one."""
EVENTS_SECONDS = 4
EVENT_SECONDS = 3.0
"""Between two events at most, of which there are two a second."""
REOPENED = 3
"""Times that a client comes back to a stream that ended early, as browsers do."""
REOPEN_SECONDS = 1.0
"""And they wait before: about three seconds, where the stream says nothing of it (WHATWG HTML, 9.2)."""
OK = 200
MOST_SAID, MOST_WORDS = 30, 120
"""Of refusals: different ones, and characters of each."""


@dataclass(slots=True)
class Tenant:
    """Whom to call as. `path` is what its requests' paths begin with."""

    tenant_id: str
    path: str
    api_key: str
    namespaces: deque[str] = field(default_factory=deque)
    """Those that were made here, the oldest first."""


class Calls:
    """Asks for all tenants of a run. `first`: what the names of things that it makes begin with."""

    def __init__(
        self,
        router: Connections,
        placement: Connections | None,
        operator_token: str,
        events_path: str,
        first: str,
    ) -> None:
        self._router, self._placement = router, placement
        self._token, self._events_path = operator_token, events_path
        self._numbers = itertools.count()
        self.said: Counter[str] = Counter()
        self._first = first
        self._calls: Mapping[str, Callable[[Tenant, Callable[[], None]], int]] = {
            "read": self._read,
            "create": self._create,
            "job": self._job,
            "stream": self._stream,
            "onboard": self._onboard,
        }

    def __repr__(self) -> str:
        return f"<Calls {self._router}>"

    def ask(self, operation: int, tenant: Tenant, answered: Callable[[], None]) -> int:
        """One request to its end; the status. `answered` is called when its time ends, where that is earlier."""
        try:
            return self._calls[OPERATIONS[operation]](tenant, answered)
        except Unanswered as error:
            return error.status
        except (ValueError, KeyError):
            return WRONG  # it is not what the API promises

    def _read(self, tenant: Tenant, _answered: Callable[[], None]) -> int:
        return self._as(tenant, "GET", "/v1/accounts/main").status

    def _create(self, tenant: Tenant, _answered: Callable[[], None]) -> int:
        name = self._name()
        return self._as(tenant, "POST", "/v1/accounts", {"account_id": name, "display_name": name}).status

    def _job(self, tenant: Tenant, _answered: Callable[[], None]) -> int:
        """A namespace is made, or taken away when there are many; waited for until a worker has done it."""
        if len(tenant.namespaces) >= MOST_NAMESPACES:
            name = tenant.namespaces.popleft()
            return self._done(tenant, self._as(tenant, "DELETE", f"/v1/accounts/main/namespaces/{name}"))
        name = self._name()
        body = {"namespace_id": name, "display_name": name}
        status = self._done(tenant, self._as(tenant, "POST", "/v1/accounts/main/namespaces", body))
        if status == OK:
            tenant.namespaces.append(name)
        return status

    def _done(self, tenant: Tenant, begun: Answer) -> int:
        return (
            self._ended(tenant, f"/v1/{json.loads(begun.body)['name']}") if begun.status == 202 else begun.status
        )

    def _ended(self, tenant: Tenant, operation: str) -> int:
        for _ in range(MOST_WAITS):
            answer = self._as(tenant, "GET", f"{operation}:wait?timeout_seconds={WAIT_SECONDS}")
            if answer.status != OK:
                return answer.status
            state = json.loads(answer.body)["state"]
            if state == "SUCCEEDED":
                return OK
            if state in ("FAILED", "CANCELLED"):
                return WRONG
        return SILENT

    def _stream(self, tenant: Tenant, answered: Callable[[], None]) -> int:
        """Its time is that to the first event; a client listens on, and comes back when it ends early."""
        left = 2 * EVENTS_SECONDS
        for number in range(REOPENED):
            if number:
                time.sleep(REOPEN_SECONDS)
            stream = self._router.listen(self._request(tenant, "GET", self._events_path, None))
            try:
                if stream.status != OK:
                    return stream.status
                while left and stream.event(EVENT_SECONDS):
                    answered()
                    left -= 1
            except Unanswered as error:
                if error.status == SILENT:
                    return SILENT
            finally:
                stream.close()
            if not left:
                return OK
        return WRONG

    def _onboard(self, _tenant: Tenant, _answered: Callable[[], None]) -> int:
        """A customer comes: asked for at placement, waited for through the router until the namespace is there."""
        if self._placement is None:
            return WRONG
        name = self._name()
        customer = {
            "email": f"ann@{name}.example",
            "display_name": name,
            "account_id": "main",
            "namespace_id": "prod",
            "trial_days": 14,
        }
        body = {"tenant_id": name, "display_name": name, "customer": customer}
        made = self._placement.ask(request(self._placement, "POST", "/v1/tenants", self._token, body, name))
        if made.status != 201:
            return made.status
        told = json.loads(made.body)
        newcomer = Tenant(name, f"/t/{name}", told["api_key"])
        status = self._ended(newcomer, f"/v1/operations/{told['operation']}")
        return self._as(newcomer, "GET", "/v1/accounts/main/namespaces/prod").status if status == OK else status

    def _as(self, tenant: Tenant, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        answer = self._router.ask(self._request(tenant, method, path, body))
        if answer.status >= 300:
            self._note(answer)
        return answer

    def _note(self, refusal: Answer) -> None:
        """Keep the words of refusals, each kind once, with how often they were said."""
        try:
            said = f"{refusal.status} {json.loads(refusal.body)['message']}"[:MOST_WORDS]
        except (ValueError, KeyError, TypeError):
            said = f"{refusal.status} without a reason"
        if said in self.said or len(self.said) < MOST_SAID:
            self.said[said] += 1

    def _request(self, tenant: Tenant, method: str, path: str, body: Mapping[str, Any] | None) -> bytes:
        key = self._name() if method in ("POST", "DELETE") else None
        return request(self._router, method, tenant.path + path, tenant.api_key, body, key)

    def _name(self) -> str:
        return f"{self._first}{next(self._numbers)}"


def request(
    to: Connections,
    method: str,
    path: str,
    token: str,
    body: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> bytes:
    """As bytes. `key`: for idempotency."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {to.authority.decode()}", f"Authorization: Bearer {token}"]
    if key is not None:
        lines.append(f"Idempotency-Key: {key}")
    content = b""
    if body is not None:
        content = json.dumps(body).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content
