"""Whoever is no operator learns nothing; bad input is the client's fault, never ours."""

import json
from typing import Any

import pytest

from tests.placement.conftest import TOKEN, Client

ENDPOINTS = [
    ("POST", "/v1/tenants"),
    ("GET", "/v1/tenants"),
    ("GET", "/v1/tenants/acme"),
    ("PATCH", "/v1/tenants/acme"),
    ("DELETE", "/v1/tenants/acme"),
    ("PUT", "/v1/tenants/acme/rate"),
    ("DELETE", "/v1/tenants/acme/rate"),
    ("POST", "/v1/tenants/acme:suspend"),
    ("POST", "/v1/tenants/acme:resume"),
    ("PUT", "/v1/tenants/acme/onboarding"),
    ("POST", "/v1/tenants/acme/offboarding"),
    ("POST", "/v1/tenants/acme/offboarding:cancel"),
    ("POST", "/v1/tenants/acme/keys"),
    ("GET", "/v1/tenants/acme/keys"),
    ("POST", "/v1/tenants/acme/keys/k:revoke"),
    ("GET", "/v1/tenants/acme/orchestrations"),
    ("GET", "/v1/tenants/acme/orchestrations/op-1"),
    *(("POST", f"/v1/tenants/acme/orchestrations/op-1:{verb}") for verb in ("retry", "skip", "cancel")),
    ("GET", "/v1/tenants/acme/jobs"),
    *(("POST", f"/v1/tenants/acme/jobs:{verb}") for verb in ("retry", "discard")),
    ("GET", "/v1/cells/cell-1/dead-jobs"),
    ("POST", "/v1/moves"),
    ("POST", "/v1/moves:preview"),
    ("GET", "/v1/moves"),
    ("GET", "/v1/moves/mv-1"),
    ("GET", "/v1/moves/mv-1/events"),
    *(
        ("POST", f"/v1/moves/mv-1:{verb}")
        for verb in ("pause", "resume", "switch", "cancel", "confirm", "reverse", "previewReverse")
    ),
    ("POST", "/v1/plans"),
    ("GET", "/v1/plans"),
    ("GET", "/v1/plans/pl-1"),
    ("GET", "/v1/plans/pl-1/moves"),
    *(("POST", f"/v1/plans/pl-1:{verb}") for verb in ("approve", "pause", "resume", "stop")),
    ("GET", "/v1/cells/cell-1/drain"),
    ("GET", "/v1/tenants/acme/load"),
    ("GET", "/v1/cells/cell-1/load"),
    ("POST", "/v1/cells"),
    ("GET", "/v1/cells"),
    ("GET", "/v1/cells/cell-1"),
    ("PATCH", "/v1/cells/cell-1"),
    *(("POST", f"/v1/cells/cell-1:{verb}") for verb in ("cordon", "open", "drain", "fail", "retire")),
    ("GET", "/v1/cells/cell-1/recovery"),
    ("GET", "/v1/instances"),
    ("GET", "/v1/leaders"),
    ("GET", "/v1/audit"),
    ("GET", "/v1/whoami"),
    ("GET", "/v1/checks"),
]


async def test_the_table_above_is_complete(shared: Client) -> None:
    """Every path of the served document is asked without a token below."""
    document = (await shared("GET", "/openapi.json", token=None)).body
    served = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    named = {
        "acme": "{tenant}",
        "/k:": "/{key}:",
        "cell-1": "{cell}",
        "op-1": "{orchestration}",
        "mv-1": "{move}",
        "pl-1": "{plan}",
    }
    asked = set()
    for method, path in ENDPOINTS:
        for example, name in named.items():
            path = path.replace(example, name)
        asked.add((method, path))
    assert served == asked


@pytest.mark.parametrize("credential", [None, "Bearer op_wrong", "Bearer ", "Basic " + TOKEN, TOKEN, "Bearer ü"])
async def test_without_an_operator_token_nothing_is_answered(shared: Client, credential: str | None) -> None:
    """401 for every endpoint, before its body is looked at."""
    headers = {} if credential is None else {"Authorization": credential}
    answers = [
        await shared(method, path, data=b"{broken", token=None, headers=headers) for method, path in ENDPOINTS
    ]
    assert {(answer.status, answer.body["code"]) for answer in answers} == {(401, "UNAUTHENTICATED")}
    assert all(answer.headers["WWW-Authenticate"] == "Bearer" for answer in answers)


GOOD: dict[str, Any] = {"tenant_id": "acme", "display_name": "Acme"}
CELL: dict[str, Any] = {
    "cell_id": "cell-9",
    "region": "eu",
    "address": "http://127.0.0.1:1",
    "control_address": "http://127.0.0.1:1",
    "capacity_tenants": 1,
}
CUSTOMER: dict[str, Any] = {
    "email": "ann@acme.example",
    "display_name": "Acme",
    "account_id": "main",
    "namespace_id": "prod",
}
BAD_CUSTOMERS: dict[str, list[Any]] = {
    "email": [None, 1, "", "ann", "ann@", "a\nb@c.example", "ann@acme.example\nBcc: x", "a" * 300],
    "display_name": [None, "", "x" * 201, "a\x00b"],
    "account_id": [None, "", "Main", "a b", "a" * 41],
    "namespace_id": [None, "", "Prod", "../x"],
    "plan": [None, "", "gold", 1, "x" * 100],
    "trial_days": [0, -1, 366, 1.5, "14", True],
    "unknown": [1],
}
BAD_TENANTS: list[tuple[bytes, str | None]] = [
    (b"", None),
    (b"{", None),
    (b"null", None),
    (b"[]", None),
    (b'"text"', None),
    (b"\xff\xfe", None),
    (b"[" * 50_000, None),
    (json.dumps({}).encode(), "tenant_id"),
    *(
        (json.dumps({**GOOD, field: value}).encode(), field)
        for field, values in {
            "tenant_id": [None, 1, "", "a", "A-b", "-ab", "ab-", "a" * 41, "a_b", "ab\x00", "ab\n", ["ab"]],
            "display_name": [None, 1, "", "x" * 201, "a\x00b", "a\nb", {"a": 1}],
            "plan": [None, "", "Gold!", "x" * 41],
            "region": [1, "", "EU", "a b"],
            "rate": [1, "100", [100, 200]],
            "customer": [1, "ann@acme.example", [{}]],
            "unknown": [1],
        }.items()
        for value in values
    ),
    (json.dumps({**GOOD, "rate": {"per_second": 0, "burst": 1}}).encode(), "rate.per_second"),
    *(
        (json.dumps({**GOOD, "customer": {**CUSTOMER, field: value}}).encode(), f"customer.{field}")
        for field, values in BAD_CUSTOMERS.items()
        for value in values
    ),
    (json.dumps({**GOOD, "customer": {**CUSTOMER, "attempt": 2}}).encode(), "customer.attempt"),
    (json.dumps({**GOOD, "plan": "gold", "customer": CUSTOMER}).encode(), None),
]


@pytest.mark.parametrize(("body", "field"), BAD_TENANTS)
async def test_a_bad_tenant_is_refused(shared: Client, body: bytes, field: str | None) -> None:
    """400 as problem+json, naming the field."""
    answer = await shared("POST", "/v1/tenants", data=body)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT"), answer
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    if field is not None:
        assert answer.body["field"] == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cell_id", "Cell"),
        ("region", ""),
        ("capacity_tenants", -1),
        ("capacity_tenants", 1.5),
        ("capacity_tenants", "1"),
        ("capacity_tenants", True),
        ("capacity_tenants", 10**30),
        ("version", "a\x00"),
        ("tags", "ssd"),
        ("tags", ["Not a label"]),
        ("tags", ["a"] * 51),
        ("address", "http://127.0.0.1:1\x00"),
        ("unknown", 1),
    ],
)
async def test_a_bad_cell_is_refused(shared: Client, field: str, value: Any) -> None:
    """When registering and, where it can be changed, when changing."""
    answer = await shared("POST", "/v1/cells", {**CELL, field: value})
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT"), answer
    answer = await shared("PATCH", "/v1/cells/cell-9", {field: value})
    assert answer.status in (400, 404), answer


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", None),
        (b"null", None),
        (b"100", None),
        (b"{}", "per_second"),
        (b'{"per_second": 1}', "burst"),
        (b'{"per_second": 1, "burst": 1, "unknown": 1}', "unknown"),
        *(
            (b'{"per_second": %s, "burst": 1}' % number, "per_second")
            for number in (
                b"0",
                b"-0.0",
                b"-1",
                b"1000000.1",
                b"1e999",
                b"NaN",
                b"Infinity",
                b'"1"',
                b"true",
                b"null",
            )
        ),
        *(
            (b'{"per_second": 1, "burst": %s}' % number, "burst")
            for number in (b"0", b"-1", b"1.5", b"1000001", b"9" * 400, b'"1"', b"true", b"null")
        ),
    ],
)
async def test_a_bad_limit_is_refused(shared: Client, body: bytes, field: str | None) -> None:
    """400 as problem+json, naming the field, whether there is such a tenant or not."""
    answer = await shared("PUT", "/v1/tenants/nobody/rate", data=body)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT"), answer
    assert field is None or answer.body["field"] == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, value) for field, values in BAD_CUSTOMERS.items() for value in values),
        *(("attempt", value) for value in (None, 0, -1, 1000, 1.5, "1", True, 10**30)),
    ],
)
async def test_a_bad_onboarding_is_refused(shared: Client, field: str, value: Any) -> None:
    """400 as problem+json, naming the field, before anybody is asked whether there is such a tenant."""
    answer = await shared("PUT", "/v1/tenants/nobody/onboarding", {**CUSTOMER, field: value})
    assert (answer.status, answer.body["code"], answer.body["field"]) == (400, "INVALID_ARGUMENT", field), answer


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"retention_days": %s}' % (b"9" * 400), b'{"unknown": 1}']
    + [b'{"retention_days": %s}' % number for number in (b"29", b"91", b"30.5", b'"30"', b"true", b"null")],
)  # fmt: skip
async def test_a_bad_offboarding_is_refused(shared: Client, body: bytes) -> None:
    """400: it deletes what nobody can bring back, so nothing is guessed."""
    answer = await shared("POST", "/v1/tenants/nobody/offboarding", data=body)
    assert (answer.status, answer.body["code"]) == (400, "INVALID_ARGUMENT"), answer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/tenants?page_size=-1", 400),
        ("GET", "/v1/tenants?page_size=many", 400),
        ("GET", "/v1/tenants?page_token=made-up", 400),
        ("GET", "/v1/tenants?page_token=%00", 400),
        ("GET", "/v1/tenants?unknown=1", 400),
        ("GET", "/v1/tenants?state=sleeping", 400),
        ("GET", "/v1/tenants?cell=%00", 400),
        ("GET", "/v1/tenants?page_size=1&page_size=2", 400),
        ("GET", "/v1/cells?page_token=AAAA", 400),
        ("GET", "/v1/audit?since=yesterday", 400),
        ("GET", "/v1/audit?since=2030-02-30T00:00:00Z", 400),
        ("GET", "/v1/audit?until=0001-01-01T00:00:00%2B14:00", 400),
        ("GET", "/v1/audit?since=2030-01-01T00:00:00", 400),
        ("GET", "/v1/audit?actor=%00", 400),
        ("GET", "/v1/audit?target=a/b/c", 400),
        ("GET", "/v1/audit?page_token=AAAA", 400),
        ("POST", "/v1/audit", 405),
        ("DELETE", "/v1/audit", 405),
        ("GET", "/v1/tenants/%00", 404),
        ("GET", "/v1/tenants/Nobody", 404),
        ("GET", "/v1/tenants/nobody", 404),
        ("GET", "/v1/tenants/%F0%9F%98%80", 404),
        ("DELETE", "/v1/tenants/nobody", 404),
        ("DELETE", "/v1/tenants/nobody/rate", 404),
        ("DELETE", "/v1/tenants/Nobody/rate", 404),
        ("GET", "/v1/tenants/nobody/rate", 405),
        ("POST", "/v1/tenants/nobody/offboarding:cancel", 404),
        ("POST", "/v1/tenants/Nobody/offboarding:cancel", 404),
        ("GET", "/v1/tenants/nobody/onboarding", 405),
        ("POST", "/v1/tenants/nobody:suspend", 404),
        ("POST", "/v1/tenants/nobody:unknown", 404),
        ("GET", "/v1/cells/nobody", 404),
        ("POST", "/v1/cells/nobody:open", 404),
        ("PUT", "/v1/tenants", 405),
        ("GET", "/", 404),
    ],
)
async def test_what_does_not_exist_or_makes_no_sense_is_told(
    shared: Client, method: str, path: str, status: int
) -> None:
    """Always a problem, never a fault of ours."""
    answer = await shared(method, path)
    assert (answer.status, answer.body["status"]) == (status, status), answer


async def test_bodies_have_a_limit_and_a_type(shared: Client) -> None:
    """413 and 415."""
    large = json.dumps({**GOOD, "display_name": "x" * 100_000}).encode()
    assert (await shared("POST", "/v1/tenants", data=large)).status == 413
    for headers in ({"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}):
        answer = await shared("POST", "/v1/tenants", data=b"{}", headers=headers)
        assert answer.status == 415, answer


@pytest.mark.parametrize("key", ["", " ", "with space", "x" * 129, "ü"])
async def test_a_malformed_idempotency_key_is_refused(shared: Client, key: str) -> None:
    """What cannot be told apart safely is not taken."""
    answer = await shared.create("acme", key=key)
    assert (answer.status, answer.body["field"]) == (400, "Idempotency-Key")


async def test_requests_carry_an_identifier(shared: Client) -> None:
    """The caller's own when it is well-formed, otherwise a new one."""
    kept = await shared("GET", "/v1/cells", headers={"X-Request-Id": "request-4711"})
    assert kept.headers["X-Request-Id"] == "request-4711"
    made = await shared("GET", "/v1/cells", headers={"X-Request-Id": "no good"})
    assert len(made.headers["X-Request-Id"]) == 32


async def test_the_admin_port_tells_what_people_ask_first(shared: Client) -> None:
    """Ready, with every check named; metrics; settings without secrets."""
    ready = await shared("GET", f"{shared.admin_url}/health/ready")
    assert (ready.status, ready.body["ready"]) == (200, True), ready
    assert "cellway_placement_requests" in (await shared("GET", f"{shared.admin_url}/metrics")).body
    settings = str((await shared("GET", f"{shared.admin_url}/settings")).body)
    assert TOKEN not in settings
    assert "control-key" not in settings
    assert "directory_writer:" not in settings
