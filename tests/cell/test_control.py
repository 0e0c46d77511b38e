"""The control contract: decisions carried out once, in order, however often and late they arrive."""

import secrets
from typing import Any

import pytest

from cell.control.tenants import TABLES
from directory.control.contract import (
    CellReport,
    CheckList,
    FenceList,
    SchemaReport,
    TenantReport,
    TenantSize,
)
from migration.catalog import read_schema
from tests.cell.cells import TOKEN, CellDatabase, Client, RunningCell, ask, next_epoch


def order(epoch: int, revision: int, **more: Any) -> dict[str, Any]:
    """An order of the directory."""
    return {
        "epoch": epoch,
        "revision": revision,
        "state": "active",
        "display_name": "x",
        "plan": "standard",
        **more,
    }


async def test_a_repeated_order_answers_as_the_first_did(cell: RunningCell) -> None:
    """A retried creation gets the same API key, although no secret is stored."""
    name, epoch = f"t-{secrets.token_hex(4)}", next_epoch()
    body = order(epoch, next_epoch(), first_key_seed="s" * 20)
    first = await cell.control("PUT", f"tenants/{name}", body)
    assert first.status == 200
    TenantReport.model_validate(first.json)
    assert (await cell.control("PUT", f"tenants/{name}", body)).json == first.json
    client = Client(cell.session, cell.url, name, epoch, first.json["api_key"])
    assert (await client("GET", "/v1/accounts")).status == 200


async def test_an_order_that_comes_again_after_its_key_was_revoked_gets_no_secret(
    client: Client, cell: RunningCell
) -> None:
    """It would look like a fresh key, and would be refused."""
    path = f"tenants/{client.tenant_id}"
    further = {"display_name": "robot", "seed": "f" * 20}
    decided = order(client.epoch, next_epoch(), first_key_seed="s" * 20)
    first = (await cell.control("PUT", path, decided)).json["api_key"]
    made = (await cell.control("POST", f"{path}/keys", further)).json
    assert first
    assert (await cell.control("POST", f"{path}/keys", further)).json == made
    for key in (await cell.control("GET", f"{path}/keys")).json["keys"]:
        await cell.control("POST", f"{path}/keys/{key['key_id']}:revoke")
    again = (await cell.control("POST", f"{path}/keys", further)).json
    assert (again["key_id"], again["api_key"]) == (made["key_id"], None)
    assert again["revoked_at"]
    assert (await cell.control("PUT", path, decided)).json["api_key"] is None


async def test_a_suspended_tenant_is_refused_and_resumed(client: Client, cell: RunningCell) -> None:
    """403 with the reason, for holders of a key only; writes and reads alike."""
    path = f"tenants/{client.tenant_id}"
    report = await cell.control("PUT", path, order(client.epoch, next_epoch(), state="suspended"))
    assert report.json["state"] == "suspended"
    for answer in (await client("GET", "/v1/accounts"), await client("POST", "/v1/keys", {"display_name": "x"})):
        assert answer.problem == (403, "PERMISSION_DENIED", False)
        assert answer.json["metadata"] == {"reason": "TENANT_SUSPENDED"}
    good, client.api_key = client.api_key, "ck_wrong"
    assert (await client("GET", "/v1/accounts")).status == 401
    client.api_key = good
    await cell.control("PUT", path, order(client.epoch, next_epoch()))
    assert (await client("GET", "/v1/accounts")).status == 200


async def test_an_older_revision_is_refused(client: Client, cell: RunningCell) -> None:
    """A suspension that was overtaken by a resumption must not come back."""
    older, newer = next_epoch(), next_epoch()
    path = f"tenants/{client.tenant_id}"
    assert (await cell.control("PUT", path, order(client.epoch, newer))).status == 200
    late = await cell.control("PUT", path, order(client.epoch, older, state="suspended"))
    assert late.problem == (409, "FAILED_PRECONDITION", False)
    assert (await client("GET", "/v1/accounts")).status == 200


async def test_an_older_epoch_is_refused(client: Client, cell: RunningCell) -> None:
    """The fence moves forward only."""
    path = f"tenants/{client.tenant_id}"
    newer = next_epoch()
    assert (await cell.control("PUT", path, order(newer, next_epoch()))).status == 200
    assert (await cell.control("PUT", path, order(client.epoch, next_epoch()))).status == 409
    assert (await client("GET", "/v1/accounts")).headers["Cellway-Epoch"] == str(newer)


async def test_deletion_leaves_nothing_but_a_closed_fence(
    client: Client, cell: RunningCell, cell_database: CellDatabase
) -> None:
    """Every row goes, a repeated deletion says the same, and a late order cannot open the fence again."""
    await client("POST", "/v1/accounts", {"account_id": "acme", "display_name": "Acme"})
    body = {"namespace_id": "prod", "display_name": "Prod"}
    assert (await client("POST", "/v1/accounts/acme/namespaces", body)).status == 202
    revision = next_epoch()
    path = f"tenants/{client.tenant_id}"
    for _ in range(2):
        report = await cell.control("DELETE", f"{path}?epoch={client.epoch}&revision={revision}")
        assert (report.status, report.json["state"], report.json["epoch"]) == (200, "deleted", revision)
    superuser = await cell_database.connect()
    tables = await superuser.fetch(
        "SELECT DISTINCT c.oid::regclass::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE a.attname = 'tenant_id' AND c.relkind = 'r' AND c.relnamespace <> 'cellway'::regnamespace"
    )
    assert {table["name"] for table in tables} == {f"cell.{name}" for name in TABLES}
    for table in tables:
        query = f"SELECT count(*) FROM {table['name']} WHERE tenant_id = $1"  # noqa: S608 names of ours
        assert await superuser.fetchval(query, client.tenant_id) == 0, table["name"]
    await superuser.close()
    assert (await client("GET", "/v1/accounts")).status == 421
    assert (await cell.control("PUT", path, order(client.epoch, revision + 1_000_000))).status == 409
    assert (await cell.control("GET", f"{path}/keys")).status == 404


async def test_a_deletion_of_many_rows_is_done_in_several_calls(
    client: Client, cell: RunningCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each does a bounded amount of work and says that there is more; the tenant is gone after the last."""
    monkeypatch.setattr("cell.control.tenants.DELETE_SECONDS", -1.0)
    monkeypatch.setattr("cell.control.tenants.BITE", 1)
    for number in range(3):
        await client("POST", "/v1/accounts", {"account_id": f"acme-{number}", "display_name": "Acme"})
    revision = next_epoch()
    path = f"tenants/{client.tenant_id}?epoch={client.epoch}&revision={revision}"
    states: list[tuple[int, str]] = []
    while (200, "deleted") not in states:
        report = await cell.control("DELETE", path)
        states.append((report.status, TenantReport.model_validate(report.json).state))
        assert len(states) < 50
    assert states.count((202, "deleting")) == len(states) - 1 >= 3
    assert (await client("GET", "/v1/accounts")).status == 421


async def test_a_stale_deletion_is_refused(client: Client, cell: RunningCell) -> None:
    """It was meant for an earlier tenancy."""
    answer = await cell.control(
        "DELETE", f"tenants/{client.tenant_id}?epoch={client.epoch - 1}&revision={next_epoch()}"
    )
    assert answer.problem[0] == 409
    assert (await client("GET", "/v1/accounts")).status == 200


@pytest.mark.parametrize("method_path", ["GET tenants/{}/keys", "DELETE tenants/{}?epoch=1&revision=2"])
@pytest.mark.parametrize("name", ["never-here", "A_B", "%00"])
async def test_an_unknown_tenant_is_not_found(cell: RunningCell, method_path: str, name: str) -> None:
    """404, whether it could exist or not."""
    method, _, path = method_path.format(name).partition(" ")
    assert (await cell.control(method, path)).problem[:2] == (404, "NOT_FOUND")


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", "é"])
@pytest.mark.parametrize("path", ["cell", "fences", "checks", "tenants/x/keys"])
async def test_without_the_cells_token_nothing_is_told(cell: RunningCell, path: str, token: str) -> None:
    """401, also for tenants' keys."""
    assert (await cell.control("GET", path, token=token)).problem[:2] == (401, "UNAUTHENTICATED")


async def test_the_contract_is_not_on_the_tenants_port(cell: RunningCell) -> None:
    """Tenants cannot even try."""
    answer = await ask(
        cell.session, "GET", f"{cell.url}/control/v1/cell", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    assert answer.status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"epoch": 0},
        {"epoch": 2**63},
        {"epoch": "1"},
        {"state": "deleted"},
        {"plan": "a\x00b"},
        {"display_name": ""},
        {"first_key_seed": "short"},
        {"surprise": 1},
    ],
    ids=str,
)
async def test_a_malformed_order_is_refused(cell: RunningCell, body: dict[str, Any]) -> None:
    """400, and no fence appears."""
    name = f"t-{secrets.token_hex(4)}"
    answer = await cell.control("PUT", f"tenants/{name}", {**order(next_epoch(), next_epoch()), **body})
    assert answer.problem[0] == 400
    assert (await cell.control("GET", f"tenants/{name}/keys")).status == 404


async def test_fences_come_in_pages(cell: RunningCell) -> None:
    """The control plane compares all of them with the directory."""
    names = sorted([(await cell.tenant()).tenant_id for _ in range(3)])
    page = await cell.control("GET", f"fences?after={names[0][:-1]}&limit=2")
    assert len(FenceList.model_validate(page.json).fences) == 2
    seen: list[str] = []
    while True:
        page = await cell.control("GET", f"fences?after={seen[-1] if seen else ''}&limit=5")
        seen += [fence.tenant_id for fence in FenceList.model_validate(page.json).fences]
        if len(page.json["fences"]) < 5:
            break
    assert set(names) <= set(seen)
    assert seen == sorted(set(seen))


async def test_the_cell_says_who_it_is(cell: RunningCell) -> None:
    """Registration proves that the address is that cell's."""
    report = CellReport.model_validate((await cell.control("GET", "cell")).json)
    assert (report.cell_id, report.region) == ("cell-1", "local")
    assert all(check.ok for check in CheckList.model_validate((await cell.control("GET", "checks")).json).checks)


async def test_what_a_tenant_holds_is_told_table_by_table(
    client: Client, cell: RunningCell, cell_database: CellDatabase
) -> None:
    """Its own rows alone, the empty tables too: exactly those that movers would move."""
    await client("POST", "/v1/accounts", {"account_id": "acme", "display_name": "Acme"})
    told = await cell.control("GET", f"tenants/{client.tenant_id}/size")
    assert told.status == 200, told.json
    sizes = {size.relation: size for size in TenantSize.model_validate(told.json).tables}
    assert (sizes["cell.accounts"].rows, sizes["cell.tenants"].rows, sizes["cell.exports"].rows) == (1, 1, 0)
    assert 20 < sizes["cell.accounts"].bytes < 500
    assert not any(size.estimated for size in sizes.values())
    superuser = await cell_database.connect()
    listed = await superuser.fetch("SELECT relation, tenant_column FROM cellway.tables ORDER BY relation")
    assert [(row["relation"], row["tenant_column"]) for row in listed] == [(name, "tenant_id") for name in sizes]
    await superuser.close()
    for nobody in ("nobody", "Not-A-Name"):
        assert (await cell.control("GET", f"tenants/{nobody}/size")).status == 404


async def test_what_tenants_tables_are_made_of_is_told_as_movers_see_it(
    cell: RunningCell, cell_database: CellDatabase
) -> None:
    """Role and schema apart: so whoever compares two cells finds what a mover would find."""
    told = await cell.control("GET", "schema")
    assert told.status == 200, told.json
    superuser = await cell_database.connect()
    await superuser.execute("SET search_path = pg_catalog")
    schema = await read_schema(superuser)
    await superuser.close()
    assert SchemaReport.model_validate(told.json).value().tables == schema.tables
