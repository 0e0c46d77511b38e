"""The stack stands by its own commands, and does what it is for: from the first tenant to a cell more."""

import secrets as chance
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest
import redis
import redis.exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from console.certificates import Maker
from tests.compose.reading import stack
from tests.compose.stage import CELLS
from tests.compose.stage import machine as machine
from tests.compose.stage import secrets as secrets
from tests.compose.standing import Machine, without_stand_ins
from tests.programs import require_program
from tests.waiting import eventually

pytestmark = pytest.mark.stack
CALL_SECONDS = 20.0
OURS = CELLS[:3]
"""Of compose.yaml."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls one address with one token."""

    base: str
    token: str

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """One request; a POST has a key of its own."""
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": chance.token_hex(8)}
        return httpx.request(
            method, self.base + path, json=body, headers=headers, timeout=CALL_SECONDS, trust_env=False
        )

    def look(self, path: str) -> Any:
        """What is there. AssertionError, which counts as "not yet" where it is waited for."""
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def operator(machine: Machine, secrets: Path) -> Caller:
    """Whoever has the operator's token, at HAProxy's port for operators."""
    return Caller(f"http://{machine.address('haproxy')}:8081", (secrets / "operator-token").read_text().strip())


def _tenant(operator: Caller, machine: Machine, name: str) -> tuple[Caller, str]:
    """A new tenant: its developer at HAProxy's port for tenants, and its cell."""
    made = operator.call("POST", "/v1/tenants", {"tenant_id": name, "display_name": name.title()})
    assert made.status_code == 201, made.text
    base = f"http://{machine.address('haproxy')}:8080/t/{name}"
    return Caller(base, made.json()["api_key"]), made.json()["cell_id"]


def _account(developer: Caller, name: str) -> httpx.Response:
    return developer.call("POST", "/v1/accounts", {"account_id": name, "display_name": name})


def _words(machine: Machine) -> str:
    return "\n".join(
        each.log.read_text(errors="replace") for each in machine.standing.values() if each.log.exists()
    )


async def test_every_service_is_healthy_and_every_job_is_done(machine: Machine) -> None:
    """By its own command, environment, secrets and health check; and nobody was refused what it needs."""
    late = [name for name, each in machine.standing.items() if not (each.healthy or each.done)]
    assert sorted(late) == sorted(without_stand_ins(machine.stack))
    for refusal in ("NOPERM", "NoPermission", "WRONGPASS", "Permission denied"):
        assert refusal not in _words(machine)


async def test_a_tenant_is_created_served_and_moved(machine: Machine, operator: Caller) -> None:
    """Through HAProxy, router, cell, worker; then a mover carries it to another cell."""
    developer, home = _tenant(operator, machine, "acme")
    await eventually(lambda: _account(developer, "main").status_code == 201, seconds=30.0)
    asked = developer.call(
        "POST", "/v1/accounts/main/namespaces", {"namespace_id": "prod", "display_name": "Prod"}
    )
    assert asked.status_code in (200, 202), asked.text
    done = developer.call("GET", f"/v1/{asked.json()['name']}:wait?timeout_seconds=20")
    assert done.json()["state"] == "SUCCEEDED", done.text
    other = "cell-2" if home != "cell-2" else "cell-3"
    move = operator.call("POST", "/v1/moves", {"tenant_id": "acme", "destination": other})
    assert move.status_code in (200, 201), move.text
    where = "/v1/tenants/acme"
    await eventually(lambda: operator.look(where)["cell_id"] == other, seconds=60.0, every=0.2)
    assert developer.call("GET", "/v1/accounts/main").status_code == 200


async def test_everybody_is_known_and_well(machine: Machine, operator: Caller, secrets: Path) -> None:
    """Each process has announced itself in Consul with the token that it has; placement has every cell open."""
    cells = {cell["cell_id"]: cell["state"] for cell in operator.call("GET", "/v1/cells").json()["cells"]}
    assert cells.items() >= dict.fromkeys(OURS, "open").items()
    token = {"X-Consul-Token": (secrets / "consul-management-token").read_text().strip()}
    base = f"http://{machine.address('consul-3')}:8500"

    def seen(kind: str) -> int:
        path = f"{base}/v1/health/service/cellway-{kind}?passing"
        return len(httpx.get(path, headers=token, timeout=CALL_SECONDS, trust_env=False).json())

    wanted = {"router": 2, "placement": 2, "mover": 2, "cell": 6, "worker": 6}
    await eventually(lambda: {kind: seen(kind) for kind in wanted} == wanted, seconds=60.0, every=0.5)


async def test_what_the_jobs_have_done_they_do_again_to_no_harm(machine: Machine) -> None:
    """Each `up` runs them once more."""
    for name in ("directory-setup", "cell-1-setup", "consul-setup", "cell-1-register"):
        machine.start(name)
        process = machine.standing[name].process
        assert process is not None
        assert process.wait(60) == 0, machine.standing[name].last_words()
        machine.standing[name].done = True


async def test_a_router_dies_and_nobody_is_refused(machine: Machine, operator: Caller) -> None:
    """HAProxy tries the other one when a connection cannot be made."""
    developer, _ = _tenant(operator, machine, "survivor")
    await eventually(lambda: _account(developer, "main").status_code == 201, seconds=30.0)
    machine.kill("router-1")
    try:
        assert [developer.call("GET", "/v1/accounts/main").status_code for _ in range(20)] == [200] * 20
    finally:
        machine.up(without=without_stand_ins(machine.stack))


@contextmanager
def _refused() -> Iterator[None]:
    with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
        yield


@pytest.mark.parametrize("server", ["control-postgres", "cell-1-postgres", "cell-2-postgres", "cell-3-postgres"])
async def test_postgres_lets_nobody_in_without_a_password(machine: Machine, secrets: Path, server: str) -> None:
    """Not the superuser, not with a usual password, and no role into another database."""
    place, kind = machine.address(server), "control" if server == "control-postgres" else "cell"
    for user in ("postgres", "cell_app", "directory_writer", "root"):
        for password in ("", "postgres", "password", user):
            with _refused():
                await asyncpg.connect(f"postgresql://{user}:{password}@{place}:5432/postgres", timeout=10)
    role = "directory-writer-dsn" if kind == "control" else f"{server.removesuffix('-postgres')}-app-dsn"
    own = urlsplit((secrets / role).read_text().strip())
    here = own._replace(netloc=f"{own.username}:{own.password}@{place}:5432")
    await (await asyncpg.connect(urlunsplit(here), timeout=10)).close()
    with _refused():
        await asyncpg.connect(urlunsplit(here._replace(path="/postgres")), timeout=10)


def _redis(machine: Machine, server: str, **who: str) -> "redis.Redis":
    once = Retry(NoBackoff(), 0)
    return redis.Redis(host=machine.address(server), port=6379, socket_timeout=5, retry=once, **who)


@pytest.mark.parametrize("server", ["directory-redis", "cell-1-redis", "cell-2-redis", "cell-3-redis"])
async def test_redis_lets_nobody_in_without_a_password(machine: Machine, secrets: Path, server: str) -> None:
    """And whoever is let in does its own, and no more."""
    for who in (
        {},
        {"password": "redis"},
        {"username": "default", "password": ""},
        {"username": "cell", "password": "x"},
    ):
        with _redis(machine, server, **who) as client, pytest.raises(redis.exceptions.AuthenticationError):
            client.ping()
    users = {"placement": "placement-redis-url", "router": "router-redis-url"}
    users = users if server == "directory-redis" else {"cell": f"{server}-url"}
    for user, name in users.items():
        told = urlsplit((secrets / name).read_text().strip())
        assert told.username == user
        with _redis(machine, server, username=user, password=told.password or "") as client:
            assert client.ping()
            for words in (
                ("FLUSHALL",),
                ("CONFIG", "SET", "maxmemory", "1"),
                ("ACL", "LIST"),
                ("SET", "other", "1"),
            ):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*words)
            if user == "router":
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.set("cellway:seq", "1")


def test_consul_lets_nobody_in_without_a_token(machine: Machine, secrets: Path) -> None:
    """Without one nothing is seen; a cell's reads no key, and changes no other program's entry."""
    base = f"http://{machine.address('consul-1')}:8500"
    token = (secrets / "cell-1-consul-token").read_text().strip()
    with httpx.Client(base_url=base, timeout=10, trust_env=False) as client:
        assert client.put("/v1/kv/cellway/position", content="x").status_code == 403
        assert client.get("/v1/catalog/services").json() == {}
        assert client.get("/v1/agent/self").status_code == 403
        own = {"X-Consul-Token": token}
        assert client.get("/v1/kv/cellway/position", headers=own).status_code == 403
        forged = {"Name": "cellway-router", "ID": "forged"}
        assert client.put("/v1/agent/service/register", json=forged, headers=own).status_code == 403


async def test_placement_lets_nobody_in_without_a_token(operator: Caller) -> None:
    """Nor with one that is made up."""
    for token in ("x", "admin", "op_0000000000000000000000000000000000000000000"):
        assert Caller(operator.base, token).call("GET", "/v1/cells").status_code == 401


def test_trouble_in_front_of_one_cell_is_nobody_elses(machine: Machine, operator: Caller) -> None:
    """faults.yaml: the way to cell-1 leads through a proxy that refuses some; what is registered again is over."""
    told = {"CELLWAY_FAULT_ERRORS": "100", "CELLWAY_FAULT_DELAY": "1ms"}
    quiet = without_stand_ins(machine.stack)
    try:
        machine.standing.pop("cell-1-register")
        machine.up(stack("compose.yaml", "faults.yaml", variables=told), without=quiet)
        place = f"http://{machine.address('cell-1-faults')}:8000"
        found = operator.call("GET", "/v1/cells/cell-1").json()
        assert (found["address"], found["state"]) == (place, "open")
        assert httpx.get(f"{place}/v1/accounts", timeout=10, trust_env=False).status_code == 500
    finally:
        machine.kill("cell-1-faults")
        del machine.standing["cell-1-faults"], machine.standing["cell-1-register"]
        machine.up(stack("compose.yaml"), without=quiet)
    assert (
        operator.call("GET", "/v1/cells/cell-1").json()["address"]
        == f"http://{machine.address('cell-1-api')}:8000"
    )


async def test_a_cell_more_takes_tenants(machine: Machine, operator: Caller) -> None:
    """cell.yaml over the running stack: its services start, the movers learn of it, placement opens it."""
    found = stack("compose.yaml", "cell.yaml")
    for name in ("mover-1", "mover-2"):
        machine.stop(name)
    machine.up(found, without=without_stand_ins(found))
    await eventually(lambda: operator.look("/v1/cells/cell-4")["state"] == "open", seconds=30.0)
    developer, home = _tenant(operator, machine, "newcomer")
    await eventually(lambda: _account(developer, "main").status_code == 201, seconds=30.0)
    if home != "cell-4":
        move = operator.call("POST", "/v1/moves", {"tenant_id": "newcomer", "destination": "cell-4"})
        assert move.status_code in (200, 201), move.text
    where = "/v1/tenants/newcomer"
    await eventually(lambda: operator.look(where)["cell_id"] == "cell-4", seconds=60.0, every=0.2)
    assert developer.call("GET", "/v1/accounts/main").status_code == 200


def test_one_switch_has_cells_and_their_callers_speak_tls(
    machine: Machine, operator: Caller, secrets: Path
) -> None:
    """tls.yaml, with certificates as `make certificates` makes them: tenants are served, and strangers are not."""
    require_program("openssl", "certificates")
    maker = Maker(secrets / "certificates")
    maker.authority()
    for name in OURS:
        maker.cell(name)
    for name in ("router", "placement", "prometheus"):
        maker.program(name)
    kinds = ("router-", "placement-", *(f"cell-{number}-{kind}" for number in "123" for kind in ("api", "worker")))
    for name in [name for name in machine.standing if name.startswith(kinds)]:
        machine.stop(name)
    for cell in OURS:
        machine.standing.pop(f"{cell}-register")
    found = stack("compose.yaml", "tls.yaml")
    machine.up(found, without=without_stand_ins(found))
    known = {cell["cell_id"]: cell for cell in operator.call("GET", "/v1/cells").json()["cells"]}
    for cell in OURS:
        place = f"{machine.address(f'{cell}-api')}:8000"
        assert known[cell]["address"] == f"https://{place}"
        assert httpx.get(f"http://{place}/v1/accounts", timeout=10, trust_env=False).status_code == 503
        with pytest.raises(httpx.TransportError, match="certificate required"):
            httpx.get(f"https://{place}/v1/accounts", timeout=10, trust_env=False, verify=False)  # noqa: S501
    developer, _ = _tenant(operator, machine, "private")
    end = time.monotonic() + 30.0
    while (made := _account(developer, "main")).status_code != 201 and time.monotonic() < end:
        time.sleep(0.2)
    assert made.status_code == 201, made.text
