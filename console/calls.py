"""HTTP calls, and what their failures mean for people."""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from console.errors import ConsoleError, Later, NotFound, NotRunning, Refused
from console.whereabouts import PLACEMENT_URL, TOKEN, Target

if TYPE_CHECKING:
    import httpx

CALL_SECONDS = 30.0
PAGE = 100
LOCAL = ("127.0.0.1", "localhost", "::1")


class Service:
    """One HTTP service. Failures are raised as sentences."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._client: httpx.Client | None = None

    def __enter__(self) -> "Service":
        import ssl  # only here: the command line must start at once

        import httpx

        headers = {"Authorization": f"Bearer {self._target.token}"} if self._target.token else {}
        authority = self._target.authority
        try:
            # A proxy from the environment knows nothing of this machine's own addresses.
            trust_env = urlsplit(self._target.url).hostname not in LOCAL
            self._client = httpx.Client(
                base_url=self._target.url,
                headers=headers,
                timeout=CALL_SECONDS,
                trust_env=trust_env,
                verify=True if authority is None else ssl.create_default_context(cafile=authority),
            )
        except OSError as error:
            raise NotRunning(f"{authority} cannot be read: {error}") from error
        except (httpx.InvalidURL, ValueError, UnicodeError) as error:
            raise NotRunning(f"{self._target.url} is no address to call: {error}") from error
        return self

    def __exit__(self, *_error: object) -> None:
        if self._client is not None:
            self._client.close()

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = CALL_SECONDS,
    ) -> "httpx.Response":
        """The answer, whatever its status. NotRunning when there is none."""
        import httpx

        if self._client is None:
            raise RuntimeError("the service is used outside of `with`")
        try:
            return self._client.request(method, path, json=body, params=params, headers=headers, timeout=seconds)
        except httpx.TimeoutException as error:
            raise Later(f"no answer from {self._target.url} within {seconds:g} s") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise NotRunning(self._target.absent) from error

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The answer's JSON, None when it has none. Refused, NotFound or Later with the service's own reason."""
        response = self.send(method, path, body, **more)
        if response.is_success:
            return None if response.status_code == 204 else _json(response)
        raise _failure(response)


class Placement(Service):
    """Placement's API, as operators call it."""

    def __enter__(self) -> "Placement":
        super().__enter__()
        return self

    def listed(
        self, path: str, field: str, limit: int, *, seconds: float = CALL_SECONDS, **filters: str | None
    ) -> list[dict[str, Any]]:
        """Up to `limit` items, page by page, each by its deadline."""
        found: list[dict[str, Any]] = []
        asked = {name: value for name, value in filters.items() if value is not None}
        for page in self._pages(path, asked, seconds):
            found += page[field]
            if len(found) >= limit:
                break
        return found[:limit]

    def _pages(self, path: str, params: dict[str, str], seconds: float) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page: dict[str, Any] = self.call(
                "GET", path, params={**params, "page_size": str(PAGE), "page_token": token}, seconds=seconds
            )
            yield page
            token = page.get("next_page_token", "")
            if not token:
                return

    def patiently(self, path: str, body: Any, seconds: float, key: str | None = None) -> Any:
        """A POST that is sent again, as the same intent, while the platform says "not now". Later."""
        headers = {"Idempotency-Key": key or f"cellway-{uuid.uuid4()}"}
        end = time.monotonic() + seconds
        while True:
            try:
                return self.call("POST", path, body, headers=headers)
            except Later:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)


def quoted(name: str) -> str:
    """A name as a part of a path, whatever somebody has typed."""
    return quote(name, safe="")


def _json(response: "httpx.Response") -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise Refused(f"what answers at {response.url} is no Cellway: it does not speak JSON") from error


def _failure(response: "httpx.Response") -> ConsoleError:
    problem = _problem(response)
    message = str(problem.get("message") or f"{response.status_code} from {response.url}")
    if response.status_code == 401:
        return Refused(f"placement does not know this operator token: check {TOKEN}, or unset {PLACEMENT_URL}")
    if response.status_code == 404:
        return NotFound(message)
    return Later(message) if problem.get("retryable") or response.status_code >= 502 else Refused(message)


def _problem(response: "httpx.Response") -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
