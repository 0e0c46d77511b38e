"""Before anything is measured: every proxy answers, and sends each tenant to its own cell."""

import http.client
import time

from loadtests.router.errors import CannotMeasure
from loadtests.router.fleet import Fleet, request, small_answer, tenant
from loadtests.router.proxies import Proxy

START_SECONDS = 20.0
_ASKED_TENANTS = 8


def require_right_answers(proxy: Proxy, fleet: Fleet) -> list[str]:
    """Wait for the proxy, then ask for some tenants; the names of its answer's headers. CannotMeasure."""
    _wait_for(proxy)
    names: list[str] = []
    for number in range(_ASKED_TENANTS):
        status, names, body = _ask(proxy.port, tenant(number))
        if status != 200 or body != small_answer(fleet.cells[number % len(fleet.cells)]):
            raise CannotMeasure(f"{proxy.name} answered {status} {body[:200]!r} to a request for {tenant(number)}")
    return names


def _wait_for(proxy: Proxy) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            status = _ask(proxy.port, tenant(0))[0]
        except (OSError, http.client.HTTPException) as error:
            status, why = 0, str(error)
        else:
            why = f"it answered {status}"
        if status == 200:
            return
        proxy.process.require_running()
        if time.monotonic() > end:
            raise CannotMeasure(f"{proxy.name} was not ready in {START_SECONDS:.0f} seconds: {why}")
        time.sleep(0.05)


def _ask(port: int, name: str) -> tuple[int, list[str], bytes]:
    """Status, names of the headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    lines = request(name, "GET", "/v1/small").decode().split("\r\n")[1:-2]
    try:
        connection.request("GET", "/v1/small", headers=dict(line.split(": ", 1) for line in lines))
        answer = connection.getresponse()
        return answer.status, [header.lower() for header, _ in answer.getheaders()], answer.read()
    finally:
        connection.close()
