"""What the router says about a request: whose it is, and at which epoch. Pure."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass

from directory.rules.names import is_name
from runtime.api.problem import ApiError

TENANT = "Cellway-Tenant"
EPOCH = "Cellway-Epoch"
_EPOCH = re.compile(r"[1-9][0-9]{0,17}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


@dataclass(frozen=True, slots=True)
class Routed:
    """The router's belief: the tenant lives in this cell since `epoch`."""

    tenant_id: str
    epoch: int


def came_through_router(headers: Container[str]) -> bool:
    """Whether a request says so; the router's own probe, and who asks the cell directly, say nothing."""
    return TENANT in headers or EPOCH in headers


def routed(tenants: Sequence[str], epochs: Sequence[str]) -> Routed:
    """From the values of both headers; ApiError 400 when they are not exactly one of each, well formed."""
    if len(tenants) != 1 or not is_name(tenants[0]):
        raise _refused(TENANT)
    if len(epochs) != 1 or _EPOCH.fullmatch(epochs[0]) is None:
        raise _refused(EPOCH)
    return Routed(tenants[0], int(epochs[0]))


def request_id(values: Sequence[str]) -> str | None:
    """The identifier under which a request is found in logs; None when it is none of the router's form."""
    return values[0] if len(values) == 1 and _REQUEST_ID.fullmatch(values[0]) else None


def _refused(header: str) -> ApiError:
    message = f"{header} is missing or malformed: requests come to a cell through the router, which sets it"
    return ApiError("INVALID_ARGUMENT", message, field=header)
