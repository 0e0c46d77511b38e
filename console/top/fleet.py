"""Finds the routers, and asks all of them at once.

The registry is asked through placement. While it is away, those that it named last are asked, and of a platform in
a folder the one router there. A router that does not answer keeps nobody waiting for longer than `LOOK_SECONDS`.
"""

import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from urllib.parse import urlsplit

from pydantic import ValidationError

from console.calls import Placement, Service
from console.errors import ConsoleError, NotRunning
from console.top.document import Document
from console.top.rates import Seen
from console.whereabouts import ROUTER_ADMIN_URL, Target, Whereabouts

LOOK_SECONDS = 2.0
REGISTRY_SECONDS = 5.0
"""How long the registry may take to answer, and how old its answer may get."""
AT_ONCE = 32

Places = Mapping[str, str]
"""Address of the admin port → name for people."""


class Fleet:
    """All routers that run. To be used in a `with`."""

    def __init__(self, where: Whereabouts) -> None:
        self._where = where
        self._threads = ThreadPoolExecutor(AT_ONCE)
        self._services: dict[str, Service] = {}
        self._places: Places = {}
        self._finding: Future[Places] | None = None
        self._found_at = 0.0
        self.trouble = ""
        """Why nobody can tell which routers run; empty while somebody does."""

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_error: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for service in self._services.values():
            service.__exit__()

    def look(self) -> list[Seen]:
        """Every router as it is now. NotRunning when none is known."""
        self._find()
        if not self._places:
            raise NotRunning(self.trouble or "no router has announced itself: is one running?")
        return list(self._threads.map(self._seen, self._places))

    def _find(self) -> None:
        """Take the registry's answer when it is there; only the first one is waited for."""
        if self._finding is None and monotonic() - self._found_at >= REGISTRY_SECONDS:
            self._finding = self._threads.submit(self._announced)
        if self._finding is None or (self._places and not self._finding.done()):
            return
        finding, self._finding, self._found_at = self._finding, None, monotonic()
        try:
            self._places, self.trouble = finding.result(), ""
        except ConsoleError as error:
            self.trouble = str(error)
            self._places = self._places or self._in_folder()

    def _announced(self) -> Places:
        given = os.environ.get(ROUTER_ADMIN_URL)
        if given:
            return {given.rstrip("/"): urlsplit(given).netloc}
        with Placement(self._where.placement()) as service:
            found = service.call("GET", "/v1/instances", seconds=REGISTRY_SECONDS)["instances"]
        return {
            f"http://{_host(one['host'])}:{one['admin_port']}": f"{_host(one['host'])}:{one['port']}"
            for one in found
            if one["service"] == "router"
        }

    def _in_folder(self) -> Places:
        if self._where.is_given():
            return {}
        try:
            url = self._where.router_admin().url
        except ConsoleError:
            return {}
        return {url: urlsplit(url).netloc}

    def _seen(self, admin_url: str) -> Seen:
        name = self._places[admin_url]
        try:
            answer = self._service(admin_url).call("GET", "/top", seconds=LOOK_SECONDS)
            return Seen(name, admin_url, Document.model_validate(answer))
        except ConsoleError as error:
            return Seen(name, admin_url, trouble=str(error))
        except ValidationError:
            return Seen(name, admin_url, trouble=f"what answers at {admin_url} is no router of this version")

    def _service(self, admin_url: str) -> Service:
        """Its connection is kept: to make one takes longer than to ask."""
        service = self._services.get(admin_url)
        if service is None:
            service = Service(Target(admin_url, f"nobody answers at {admin_url}")).__enter__()
            self._services[admin_url] = service
        return service


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
