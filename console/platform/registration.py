"""Makes the cells known to placement, through its HTTP API. Doing it again is harmless."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console.platform.errors import RegistrationFailed
from console.platform.parts import HOST

_ANSWER_SECONDS = 10.0
_AGAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Cell:
    """What placement has to know of a cell."""

    cell_id: str
    region: str
    address: str
    control_address: str
    capacity_tenants: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Placement's API, as an operator calls it. Blocking."""

    port: int
    token: str

    def register(self, cell: Cell, deadline_seconds: float = 15.0) -> None:
        """Register it, or tell its new addresses. Raises `RegistrationFailed`."""
        addresses = {"address": cell.address, "control_address": cell.control_address}
        body = {"cell_id": cell.cell_id, "region": cell.region, "capacity_tenants": cell.capacity_tenants}
        status, answer = self._until_there(deadline_seconds, "POST", "/v1/cells", {**body, **addresses})
        if status == http.client.CONFLICT:
            status, answer = self._until_there(deadline_seconds, "PATCH", f"/v1/cells/{cell.cell_id}", addresses)
        if status >= http.client.BAD_REQUEST:
            raise RegistrationFailed(f"Placement does not take {cell.cell_id}: {status} {_reason(answer)}")

    def tenants(self) -> dict[str, int]:
        """How many tenants live in each cell, as far as placement tells; nothing when it does not answer."""
        try:
            status, answer = self._call("GET", "/v1/cells", None)
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        cells = _listed(answer) if status == http.client.OK else []
        return {cell["cell_id"]: cell["tenants"] for cell in cells if {"cell_id", "tenants"} <= cell.keys()}

    def _until_there(
        self, deadline_seconds: float, method: str, path: str, body: Mapping[str, Any]
    ) -> tuple[int, Any]:
        """A placement that is just being restarted answers a little later."""
        end = time.monotonic() + deadline_seconds
        while True:
            try:
                status, answer = self._call(method, path, body)
                if status < http.client.INTERNAL_SERVER_ERROR or time.monotonic() > end:
                    return status, answer
            except (OSError, http.client.HTTPException, ValueError) as error:
                if time.monotonic() > end:
                    raise RegistrationFailed(f"Placement does not answer: {error!r}") from error
            time.sleep(_AGAIN_SECONDS)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=_ANSWER_SECONDS)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        finally:
            connection.close()


def _listed(answer: Any) -> list[dict[str, Any]]:
    items = answer.get("cells") if isinstance(answer, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _reason(answer: Any) -> str:
    return (
        str(answer.get("message") or answer.get("detail") or answer) if isinstance(answer, dict) else str(answer)
    )
