"""Before anything is measured: both servers give the same answers, and keep the ones under an Idempotency-Key."""

import http.client
import json
import time
from collections.abc import Mapping
from typing import Any

from loadtests.cell.servers import Server
from loadtests.cell.stage import create_request, numbered, read_request
from loadtests.router.errors import CannotMeasure

START_SECONDS = 30.0
ASK_SECONDS = 5.0
_NUMBER = 7
_OWN = {"name", "target", "create_time", "update_time"}
"""Of an operation: what differs from one to the next."""


def wait_for(server: Server, path: str, port: int) -> None:
    """Until it answers at all. CannotMeasure."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            if _send(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        server.process.require_running()
        if time.monotonic() > end:
            raise CannotMeasure(f"{server.name} was not ready in {START_SECONDS:.0f} seconds")
        time.sleep(0.05)


def require_same_answers(servers: Mapping[str, Server], api_key: str) -> None:
    """CannotMeasure names what differs."""
    read = {
        name: _answer(server, numbered(read_request(api_key), _NUMBER), 200) for name, server in servers.items()
    }
    _require_same("read", read)
    made = {}
    for name, server in servers.items():
        request = numbered(create_request(api_key, f"check-{name}-"), _NUMBER)
        first, second = _answer(server, request, 202), _answer(server, request, 202)
        if first != second:
            raise CannotMeasure(f"{name} does not keep its answer: {first}, then {second}")
        made[name] = {field: value for field, value in first.items() if field not in _OWN}
        _send_without_key(server, request, api_key)
    _require_same("create", made)


def _require_same(what: str, answers: Mapping[str, Any]) -> None:
    if len({json.dumps(answer, sort_keys=True) for answer in answers.values()}) > 1:
        raise CannotMeasure(f"the answers to {what} differ: {answers}")


def _answer(server: Server, request: bytes, wanted: int) -> dict[str, Any]:
    status, body = _send(server.port, request)
    if status != wanted:
        raise CannotMeasure(f"{server.name} answered {status} {body[:300]!r}: {server.process.last_words()}")
    answer: dict[str, Any] = json.loads(body)
    return answer


def _send_without_key(server: Server, request: bytes, api_key: str) -> None:
    status, _body = _send(server.port, request.replace(api_key.encode(), api_key[::-1].encode()))
    if status != 401:
        raise CannotMeasure(f"{server.name} answered {status} to a wrong API key")


def _send(port: int, request: bytes) -> tuple[int, bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    method, path, _ = line.split(" ")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ASK_SECONDS)
    try:
        connection.request(method, path, body or None, dict(field.split(": ", 1) for field in fields))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
