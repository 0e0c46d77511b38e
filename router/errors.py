"""What can go wrong between a client and a cell, and what the client is told."""

from directory.errors import DirectoryError
from router.rules.adoption import Doubt
from router.rules.decide import GiveUp, Outcome
from router.rules.rates import retry_after
from runtime.api.problem import ApiError


class RouterError(Exception):
    """The tree's root."""


class SnapshotRefused(RouterError):
    """The snapshot is not believed; the table stays as it is."""

    def __init__(self, reason: Doubt) -> None:
        super().__init__(reason.value)
        self.reason = reason


class OutOfOrder(DirectoryError):
    """A change whose number does not follow the last one's."""


class Unreached(RouterError):
    """An attempt at a cell ended without an answer to pass on."""

    def __init__(self, outcome: Outcome, detail: str = "") -> None:
        super().__init__(f"{outcome.value}{': ' if detail else ''}{detail}")
        self.outcome = outcome


class TransferBroken(RouterError):
    """A body broke off after its head: what was passed on must not look complete."""


NO_SUCH_TENANT = "no such tenant here, or the request's parts name different ones"


def no_such_tenant() -> ApiError:
    """The one answer for a tenant that does not exist and for one that the client may not know of."""
    return ApiError("NOT_FOUND", NO_SUCH_TENANT)


def malformed(reason: str, *, status: int = 400) -> ApiError:
    """The answer to a request that another parser could read differently."""
    return ApiError("INVALID_ARGUMENT", reason, status=status)


def unavailable(message: str) -> ApiError:
    """The answer when trying again soon may help."""
    return ApiError("UNAVAILABLE", message)


def too_many(wait_seconds: float) -> ApiError:
    """The answer to a tenant that asks more than it may."""
    return ApiError(
        "RESOURCE_EXHAUSTED",
        "the tenant makes more requests than it may: send fewer, or ask the operator for more",
        headers={"Retry-After": str(retry_after(wait_seconds))},
    )


def overloaded() -> ApiError:
    """The answer while there is more to do than can be done."""
    return ApiError("UNAVAILABLE", "more requests come than can be served now")


def broken_off() -> ApiError:
    """The answer when the fault is ours."""
    return ApiError("INTERNAL", "a fault of this service, not of the request; it has been logged")


def gave_up(outcome: Outcome, decision: GiveUp, wait_seconds: float = 0.0) -> ApiError:
    """The answer after the last attempt. `wait_seconds`: when another one makes sense, where that is known."""
    metadata = {"outcome": "unknown"} if decision.unknown else {}
    message = "the tenant is being moved" if outcome is Outcome.NOT_OURS else outcome.value
    return ApiError(
        "UNAVAILABLE",
        message,
        status=decision.status,
        retryable=decision.retryable,
        metadata=metadata,
        headers={"Retry-After": str(retry_after(wait_seconds))} if wait_seconds else {},
    )
