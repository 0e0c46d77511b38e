"""A stand-in for one of our programs: a real process with the same settings and the same readiness page.

`python stand_in.py placement|router|cell|worker`. In the folder `STAND_IN_FOLDER` a test finds what placement
was told (`cells.json`), and says by `<kind>.refuses` with which words a program shall refuse to start.
"""

import http.server
import json
import os
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any

KIND = sys.argv[1]
PREFIX = {
    "placement": "CELLWAY_PLACEMENT_",
    "router": "CELLWAY_ROUTER_",
    "mover": "CELLWAY_MIGRATION_",
}.get(KIND, "CELLWAY_CELL_")
FOLDER = Path(os.environ["STAND_IN_FOLDER"])


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/v1/cells":
            self.answer(200, {"cells": [{"cell_id": name, "tenants": 1} for name in cells()]})
        else:
            self.answer(200, {"kind": KIND, "cell": os.environ.get("CELLWAY_CELL_CELL_ID")})

    def do_POST(self) -> None:
        body = self.body()
        name = body["cell_id"]
        token = os.environ["CELLWAY_PLACEMENT_OPERATOR_TOKENS"].rpartition(":")[2]
        if self.headers["Authorization"] != f"Bearer {token}":
            self.answer(401, {})
        elif name in cells():
            self.answer(409, {"code": "already_exists"})
        else:
            save(name, {**body, "told": 1})
            self.answer(201, body)

    def do_PATCH(self) -> None:
        name = self.path.rpartition("/")[2]
        known = cells()[name]
        save(name, {**known, **self.body(), "told": known["told"] + 1})
        self.answer(200, {})

    def body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_args: Any) -> None:
        """Nobody reads it."""


LOCK = threading.Lock()


def cells() -> dict[str, Any]:
    path = FOLDER / "cells.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def save(name: str, values: Any) -> None:
    with LOCK:
        (FOLDER / "cells.json").write_text(json.dumps({**cells(), name: values}))


def main() -> None:
    refusal = FOLDER / f"{KIND}.refuses"
    if refusal.exists():
        sys.exit(refusal.read_text())
    ports = [os.environ[f"{PREFIX}{key}"] for key in ("PORT", "ADMIN_PORT") if f"{PREFIX}{key}" in os.environ]
    servers = [Server(("127.0.0.1", int(port)), Pages) for port in ports]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
