"""Our answers to what is refused, as HAProxy's words. The bodies are those that the router itself would send."""

from router.errors import malformed, unavailable
from router.rules.decide import Outcome
from runtime.api.problem import CONTENT_TYPE, ApiError


def quoted(text: str) -> str:
    """One word of a configuration, whatever is in it (manual, section 2.2)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def refusal(error: ApiError) -> str:
    """What follows `http-request return`."""
    return f"status {error.status} {_payload(error)}"


def _payload(error: ApiError) -> str:
    headers = " ".join(
        f"hdr {name} {quoted(value)}" for name, value in error.shown_headers().items() if name != "Content-Type"
    )
    return f"content-type {CONTENT_TYPE} string {quoted(error.body().decode())} {headers}"


def misdirected() -> ApiError:
    """The answer when a cell refused a request as not its own, and another attempt did not help."""
    return unavailable("the tenant is being moved")


def came_round() -> ApiError:
    """The answer to a request that this proxy sent before."""
    return ApiError("FAILED_PRECONDITION", "this request came round: a cell sent it back here", status=508)


def no_cell() -> ApiError:
    """The answer while the tenant's cell has no address here."""
    return unavailable("the tenant's cell is not known here yet")


def of_haproxy() -> list[str]:
    """What HAProxy says of its own: the same kind of answer as ours.

    Of 502 and 504 the outcome is unknown; whether to try again depends on the method, so a later rule says it.
    """
    unknown_outcome = {"outcome": "unknown"}
    known = (
        malformed("this is not HTTP/1.1 as it must be"),
        malformed("a header's name holds characters other than letters, digits and dashes", status=403),
        ApiError("INVALID_ARGUMENT", "the request did not come in time", status=408),
        ApiError("INTERNAL", "a fault of this service, not of the request; it has been logged"),
        unavailable(Outcome.REFUSED.value),
        ApiError("UNAVAILABLE", Outcome.CLOSED.value, status=502, retryable=False, metadata=unknown_outcome),
        ApiError("UNAVAILABLE", Outcome.LATE.value, status=504, retryable=False, metadata=unknown_outcome),
    )
    return [f"http-error status {error.status} {_payload(error)}" for error in known]
