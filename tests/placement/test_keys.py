"""API keys are made and revoked in the tenant's cell, through placement."""

from tests.placement.conftest import Client
from tests.placement.fake_cell import FakeCell


async def test_keys_are_made_listed_and_revoked(placement: Client, cell: FakeCell) -> None:
    """The secret is in the answer that made it, and nowhere else."""
    await placement.create("acme")
    made = await placement("POST", "/v1/tenants/acme/keys", {"display_name": "robot"})
    assert made.status == 201
    assert made.body["api_key"].startswith("ck_acme_")
    listed = (await placement("GET", "/v1/tenants/acme/keys")).body["keys"]
    assert {key["display_name"] for key in listed} == {"first key", "robot"}
    assert all("api_key" not in key for key in listed)
    for _ in range(2):
        revoked = await placement("POST", f"/v1/tenants/acme/keys/{made.body['key_id']}:revoke")
        assert revoked.status == 200
        assert revoked.body["revoke_time"]


async def test_a_retry_gets_the_same_key(placement: Client, cell: FakeCell) -> None:
    """And another wish under the same Idempotency-Key is refused."""
    await placement.create("acme")
    headers = {"Idempotency-Key": "one"}
    answers = [
        await placement("POST", "/v1/tenants/acme/keys", {"display_name": "robot"}, headers=headers)
        for _ in range(2)
    ]
    assert answers[0].body == answers[1].body
    other = await placement("POST", "/v1/tenants/acme/keys", {"display_name": "other"}, headers=headers)
    assert other.status == 422


async def test_a_retry_after_the_key_was_revoked_gets_no_secret_that_no_longer_works(
    placement: Client, cell: FakeCell
) -> None:
    """A further key: the client is told to take a new Idempotency-Key. The first: the tenant comes without one."""
    key_of_creation = {"Idempotency-Key": "one"}
    made = await placement.create("acme", key="first")
    body = {"display_name": "robot"}
    await placement("POST", "/v1/tenants/acme/keys", body, headers=key_of_creation)
    for key in (await placement("GET", "/v1/tenants/acme/keys")).body["keys"]:
        await placement("POST", f"/v1/tenants/acme/keys/{key['key_id']}:revoke")
    again = await placement("POST", "/v1/tenants/acme/keys", body, headers=key_of_creation)
    assert (again.status, again.body["code"]) == (409, "ALREADY_EXISTS")
    created = await placement.create("acme", key="first")
    assert made.body["api_key"]
    assert (created.status, created.body["api_key"]) == (201, None)


async def test_keys_of_nobody_are_not_found(placement: Client, cell: FakeCell) -> None:
    """Unknown tenants, unknown keys, and what cannot be a name at all."""
    await placement.create("acme")
    assert (await placement("GET", "/v1/tenants/nobody/keys")).status == 404
    for key in ("unknown", "%00", "a%20b", "x" * 200):
        assert (await placement("POST", f"/v1/tenants/acme/keys/{key}:revoke")).status == 404


async def test_a_deleted_tenant_has_no_keys(placement: Client, cell: FakeCell) -> None:
    """They went with everything else."""
    await placement.create("acme")
    await placement("POST", "/v1/tenants/acme:suspend")
    await placement("DELETE", "/v1/tenants/acme")
    answer = await placement("POST", "/v1/tenants/acme/keys", {"display_name": "late"})
    assert (answer.status, answer.body["code"]) == (409, "FAILED_PRECONDITION")


async def test_a_cell_that_is_away_makes_keys_wait(placement: Client, cell: FakeCell) -> None:
    """Nothing else is affected, and trying again helps."""
    await placement.create("acme")
    cell.mode = "failing"
    answer = await placement("GET", "/v1/tenants/acme/keys")
    assert (answer.status, answer.body["retryable"]) == (503, True)
