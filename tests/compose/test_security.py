"""The stack as its files say: nothing open, nothing shared, nothing that is not needed.

And the checker finds what it is for: each mistake is planted once.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from console.stack.contents import everything
from tests.compose.checking import wrongs
from tests.compose.reading import FOLDER, stack, whole, with_one

Document = Mapping[str, Any]
FILES = [
    ("compose.yaml",),
    ("compose.yaml", "cell.yaml"),
    ("compose.yaml", "cell.yaml", "faults.yaml", "tls.yaml"),
]


@pytest.mark.parametrize("files", FILES, ids="+".join)
def test_nothing_is_open_shared_or_superfluous(files: tuple[str, ...]) -> None:
    """Each rule is a sentence in `checking`."""
    assert wrongs(whole(*files)) == []


def _changed(name: str, **changed: Any) -> Callable[[Document], Document]:
    return lambda told: with_one(told, name, **changed)


def _added(name: str, key: str, more: Any) -> Callable[[Document], Document]:
    def planted(told: Document) -> Document:
        old = told["services"][name].get(key)
        return with_one(told, name, **{key: {**old, **more} if isinstance(old, dict) else [*(old or ()), *more]})

    return planted


def _open_network(told: Document) -> Document:
    return {**told, "networks": {**told["networks"], "cell-1": {}}}


def _secret_of_the_environment(told: Document) -> Document:
    return {**told, "secrets": {**told["secrets"], "page-key": {"environment": "PAGE_KEY"}}}


def _certificates_of(folder: str) -> dict[str, Any]:
    return {"type": "bind", "source": f"./secrets/{folder}", "target": "/run/secrets/tls", "read_only": True}


MISTAKES: dict[str, tuple[Callable[[Document], Document], str]] = {
    "root": (_changed("router-1", user="0:0"), "router-1: runs as root"),
    "a user without a number": (_changed("router-1", user="cellway"), "router-1: runs as root"),
    "a root that can be written": (
        _changed("cell-1-redis", read_only=False),
        "cell-1-redis: its root can be written",
    ),
    "capabilities": (_changed("mover-1", cap_drop=["NET_RAW"]), "mover-1: keeps capabilities"),
    "a capability more": (_changed("mover-1", cap_add=["NET_ADMIN"]), "mover-1: keeps capabilities"),
    "new privileges": (_changed("grafana", security_opt=[]), "grafana: may gain privileges"),
    "privileged": (_changed("consul-1", privileged=True), "consul-1: has privileged"),
    "the machine's network": (_changed("haproxy", network_mode="host"), "haproxy: has network_mode"),
    "Docker's socket": (
        _added("prometheus", "volumes", ["/var/run/docker.sock:/var/run/docker.sock:ro"]),
        "prometheus: sees the machine's /var/run/docker.sock",
    ),
    "a folder to write": (_added("grafana", "volumes", ["./grafana:/x"]), "grafana: may write ./grafana"),
    "no limit": (_changed("cell-2-api-1", deploy={}), "cell-2-api-1: has no limit of cpus, memory, pids"),
    "an image of today": (_changed("alertmanager", image="prom/alertmanager:latest"), "is not pinned"),
    "an image of any patch": (_changed("haproxy", image="haproxy:3.0-alpine"), "is not pinned"),
    "nobody restarts": (_changed("placement-1", restart="no"), "placement-1: is not started again"),
    "nobody asks": (_changed("placement-1", healthcheck=None), "placement-1: nobody asks how it is"),
    "an endless log": (_changed("router-2", logging={}), "router-2: its log grows without a bound"),
    "a password in the environment": (
        _added("cell-1-api-1", "environment", {"CELLWAY_CELL_PAGE_KEY": "0123456789abcdef"}),
        "cell-1-api-1: is told CELLWAY_CELL_PAGE_KEY in the open",
    ),
    "a default password": (
        _added("control-postgres", "environment", {"POSTGRES_PASSWORD": "postgres"}),
        "control-postgres: is told POSTGRES_PASSWORD in the open",
    ),
    "an address with a password": (
        _added("cell-1-api-1", "environment", {"CELLWAY_CELL_SMTP_URL": "smtp://me:secret@mail:587"}),
        "cell-1-api-1: is told CELLWAY_CELL_SMTP_URL in the open",
    ),
    "a password on the command line": (
        _added("cell-1-redis", "command", ["--requirepass secret"]),
        "cell-1-redis: its command holds a password",
    ),
    "a secret that is not mounted": (
        _added("router-1", "environment", {"CELLWAY_ROUTER_CONSUL_TOKEN_FILE": "/run/secrets/consul-router"}),
        "router-1: reads /run/secrets/consul-router, which is not mounted",
    ),
    "a secret too many": (
        _added("router-1", "secrets", [{"source": "control-key", "target": "/run/secrets/control-key"}]),
        "router-1: has the secret control-key, which it does not read",
    ),
    "another cell's secret": (
        _added("cell-1-api-1", "secrets", [{"source": "cell-2-app-dsn", "target": "/run/secrets/app-dsn"}]),
        "cell-1-api-1: has cell-2-app-dsn, a secret of a cell that it is no part of",
    ),
    "another cell's certificates": (
        _added("cell-1-api-1", "volumes", [_certificates_of("certificates/cell-2")]),
        "cell-1-api-1: sees ./secrets/certificates/cell-2, a folder with secrets of others",
    ),
    "everybody's certificates": (
        _added("router-1", "volumes", [_certificates_of("certificates")]),
        "router-1: sees ./secrets/certificates, a folder with secrets of others",
    ),
    "certificates for nothing": (
        _added("router-1", "volumes", [_certificates_of("certificates/router")]),
        "router-1: sees ./secrets/certificates/router, which it does not read",
    ),
    "certificates that can be written": (
        _added("router-1", "volumes", [{**_certificates_of("certificates/router"), "read_only": False}]),
        "router-1: may write ./secrets/certificates/router",
    ),
    "a secret of the environment": (_secret_of_the_environment, "secret page-key is no file"),
    "a port more": (_changed("cell-1-postgres", ports=["5432:5432"]), "cell-1-postgres: listens on port 5432"),
    "a port for everybody": (
        _changed("haproxy", ports=["0.0.0.0:8081:8081"]),
        "haproxy: listens to everybody on port 8081",
    ),
    "a way out": (_open_network, "network cell-1: cell-1-api-1"),
    "cells that meet": (
        _added("cell-1-worker-1", "networks", {"cell-2-front": None}),
        "cell-1-worker-1 and cell-2-api-1 of another cell meet in cell-2-front",
    ),
    "a router at a database": (
        _added("router-1", "networks", {"cell-1": None}),
        "router-1 reaches cell-1-postgres in cell-1",
    ),
    "a cell at the control database": (
        _added("cell-1-api-1", "networks", {"directory": None}),
        "cell-1-api-1 reaches control-postgres in directory",
    ),
    "waiting for nothing": (
        _added("placement-1", "depends_on", {"directory-setup": {"condition": "service_started"}}),
        "placement-1: waits for directory-setup to be service_started",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_found(mistake: str) -> None:
    """The checker sees it, and names it."""
    planted, expected = MISTAKES[mistake]
    assert any(expected in sentence for sentence in wrongs(planted(whole("compose.yaml"))))


def test_every_secret_of_the_stack_is_made() -> None:
    """`cellway secrets` knows each file by its name; and whatever it makes is of use, or others follow from it."""
    cells = ("cell-1", "cell-2", "cell-3", "cell-4")
    made = {each.name for each in everything(cells)}
    wanted = set(stack("compose.yaml", "cell.yaml").files)
    assert wanted <= made
    assert made - wanted == {"consul-gossip-key"}


@pytest.mark.parametrize("kind", ["cell", "directory"])
def test_who_may_log_in_to_postgres_has_a_password(kind: str) -> None:
    """Every line asks for one, or refuses; the last refuses everybody else."""
    text = (FOLDER / "postgres" / f"{kind}_hba.conf").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert {line[-1] for line in lines} == {"scram-sha-256", "reject"}
    assert lines[-1] == ["host", "all", "all", "all", "reject"]


@pytest.mark.parametrize("kind", ["cell", "directory"])
def test_nobody_is_let_in_to_redis_without_a_password(kind: str, project_root: Path) -> None:
    """The default user is off; each other has a digest, keys of its own, and no command that rules the server."""
    text = (project_root / "console" / "stack" / f"{kind}.acl").read_text(encoding="utf-8")
    first, *others = text.splitlines()
    assert first == "user default off resetchannels -@all"
    for line in others:
        name = line.split()[1]
        assert f" on #{{{name}}} " in line
        assert "nopass" not in line
        assert "+@all" not in line
        assert "~*" not in line
        assert " -@all " in line


def test_consul_lets_nobody_in_without_a_token() -> None:
    """And takes no command from the network."""
    text = (FOLDER / "consul" / "server.hcl").read_text(encoding="utf-8")
    assert re.search(r'default_policy\s*=\s*"deny"', text)
    assert re.search(r"enabled\s*=\s*true", text)
    assert re.search(r"enable_script_checks\s*=\s*false", text)
