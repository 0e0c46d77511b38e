"""API keys: derived, shown once, revoked at once."""

import hypothesis
from hypothesis import strategies as st

from cell.rules import keys
from directory.rules.names import NAME
from tests.cell.cells import Client, RunningCell

PEPPER = b"pepper"
NAMES = st.from_regex(NAME.removesuffix("$") + r"\Z")


async def test_a_created_key_opens_the_api_and_is_shown_once(client: Client) -> None:
    """Only the answer that makes it has the secret."""
    made = await client("POST", "/v1/keys", {"display_name": "second"})
    assert made.status == 201
    assert made.json["api_key"].startswith(f"ck_{client.tenant_id}_")
    read = await client("GET", f"/v1/{made.json['name']}")
    assert read.json == {**made.json, "api_key": None}
    client.api_key = made.json["api_key"]
    assert (await client("GET", "/v1/accounts")).status == 200


async def test_a_revoked_key_fails_at_once(client: Client) -> None:
    """The very next request with it is refused, as any unknown key is."""
    made = await client("POST", "/v1/keys", {"display_name": "second"})
    stranger = Client(client.session, client.url, client.tenant_id, client.epoch, made.json["api_key"])
    assert (await stranger("GET", "/v1/keys")).status == 200
    revoked = await client("POST", f"/v1/{made.json['name']}:revoke")
    assert (revoked.status, revoked.json["state"]) == (200, "REVOKED")
    refused = await stranger("GET", "/v1/keys")
    stranger.api_key = "ck_x_y"
    assert refused.raw == (await stranger("GET", "/v1/keys")).raw
    assert refused.problem == (401, "UNAUTHENTICATED", False)
    again = await client("POST", f"/v1/{made.json['name']}:revoke")
    assert again.json == revoked.json


async def test_the_operator_makes_lists_and_revokes_keys(client: Client, cell: RunningCell) -> None:
    """Through the control contract; the same seed is the same key."""
    order = {"display_name": "operator's", "seed": "s" * 20}
    path = f"tenants/{client.tenant_id}/keys"
    made = await cell.control("POST", path, order)
    assert (await cell.control("POST", path, order)).json == made.json
    client.api_key = made.json["api_key"]
    assert (await client("GET", "/v1/keys")).status == 200
    assert (await cell.control("POST", f"{path}/{made.json['key_id']}:revoke")).json["revoked_at"]
    assert (await client("GET", "/v1/keys")).status == 401
    listed = await cell.control("GET", path)
    assert [key["display_name"] for key in listed.json["keys"]] == ["first key", "operator's"]
    assert all(key["api_key"] is None for key in listed.json["keys"])


@hypothesis.given(NAMES, st.text(min_size=1, max_size=40))
def test_a_derived_key_is_read_back_for_its_own_tenant_only(tenant: str, seed: str) -> None:
    """The same inputs give the same key; another tenant's name does not accept it."""
    key_id = keys.key_id_of(PEPPER, tenant, seed)
    api_key = keys.api_key_of(PEPPER, tenant, key_id)
    assert keys.api_key_of(PEPPER, tenant, keys.key_id_of(PEPPER, tenant, seed)) == api_key
    assert keys.presented(f"Bearer {api_key}", tenant) == api_key
    assert keys.presented(f"Bearer {api_key}", tenant + "x") is None
    assert keys.api_key_of(b"other", tenant, key_id) != api_key


@hypothesis.given(st.text(max_size=120))
def test_reading_a_credential_never_fails(text: str) -> None:
    """Whatever the header holds, it is a key of the right form or none."""
    assert keys.presented(text, "acme") is None
    assert keys.presented(f"Bearer {text}", "acme") in (None, text.strip(" "))
