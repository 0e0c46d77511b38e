"""Operators see and help work in a real cell, through placement and the control contract."""

from cell.workflows.provisioning import PROVISION
from tests.placement.conftest import Client
from tests.placement.fake_cell import FakeCell
from tests.placement.trouble import ERROR, Trouble
from tests.placement.trouble import trouble as trouble

OF_ACME = "/v1/tenants/acme/orchestrations"
NAMES = [step.name for step in PROVISION.steps]
JOBS = "/v1/tenants/acme/jobs"


async def test_a_stuck_orchestration_is_found_looked_at_and_tried_again(
    placement: Client, trouble: Trouble
) -> None:
    """Said twice, it is tried again once: nobody is at it yet."""
    listed = (await placement("GET", f"{OF_ACME}?stuck=true")).body["orchestrations"]
    assert [(one["orchestration_id"], one["stuck"], one["steps"]) for one in listed] == [
        (trouble.stuck, ["reserve"], [])
    ]
    found = (await placement("GET", f"{OF_ACME}/{trouble.stuck}")).body
    assert found["next_action"] == "stuck: retry or skip the compensation of `reserve`"
    assert (found["failing_step"], found["error"], found["steps_total"]) == ("reserve", ERROR, len(NAMES))
    steps = {step["step"]: step for step in found["steps"]}
    assert [step["after"] for step in found["steps"]] == [[], *([name] for name in NAMES[:-1])]
    assert (steps["reserve"]["verbs"], steps["publish"]["status"]) == (["retry", "skip"], None)
    for _ in range(2):
        again = await placement("POST", f"{OF_ACME}/{trouble.stuck}:retry", {"step": "reserve"})
        assert (again.status, again.body["state"], again.body["stuck"]) == (200, "RESERVE_COMPENSATING", [])
    assert (await placement("GET", f"{OF_ACME}?stuck=true")).body["orchestrations"] == []


async def test_what_is_not_possible_is_refused_with_what_would_be(placement: Client, trouble: Trouble) -> None:
    """409 with the cell's reason; 404 for what is not there."""
    refused = await placement("POST", f"{OF_ACME}/{trouble.stuck}:retry", {"step": "allocate"})
    assert (refused.status, refused.body["message"]) == (
        409,
        "retry allocate: it is UNDONE; possible: retry reserve, skip reserve",
    )
    for verb, body in (("retry", {"step": "nobody"}), ("skip", {"step": "nobody"})):
        assert (await placement("POST", f"{OF_ACME}/{trouble.stuck}:{verb}", body)).status == 404
    missing = await placement("GET", f"{OF_ACME}/op-nobody")
    assert (missing.status, missing.body["message"]) == (404, 'no orchestration "op-nobody"')
    for name in ("op-nobody", "%00", "a%20b"):
        assert (await placement("GET", f"{OF_ACME}/{name}")).status == 404
        assert (await placement("POST", f"{OF_ACME}/{name}:cancel")).status == 404
    assert (await placement("GET", "/v1/tenants/nobody/orchestrations")).status == 404


async def test_orchestrations_are_cancelled_and_skipped(placement: Client, trouble: Trouble) -> None:
    """A cancellation is kept until a worker comes; a skipped compensation counts as done."""
    name = await trouble.begin()
    for _ in range(2):
        cancelled = await placement("POST", f"{OF_ACME}/{name}:cancel")
        assert (cancelled.status, cancelled.body["cancel_requested"]) == (200, True)
    skipped = await placement("POST", f"{OF_ACME}/{trouble.stuck}:skip", {})
    statuses = {step["step"]: step["status"] for step in skipped.body["steps"]}
    undone = {"reserve", "allocate"}
    assert statuses == {name: "UNDONE" if name in undone else None for name in NAMES}


async def test_orchestrations_are_listed_page_by_page(placement: Client, trouble: Trouble) -> None:
    """Newest first; a token is good for its own list."""
    names = [await trouble.begin() for _ in range(3)]
    first = (await placement("GET", f"{OF_ACME}?page_size=2")).body
    token = first["next_page_token"]
    second = (await placement("GET", f"{OF_ACME}?page_size=2&page_token={token}")).body
    seen = [one["orchestration_id"] for one in (*first["orchestrations"], *second["orchestrations"])]
    assert (seen, second["next_page_token"]) == ([*reversed(names), trouble.stuck], "")
    assert (await placement("GET", f"{OF_ACME}?stuck=true&page_token={token}")).status == 400
    assert (await placement("GET", f"{OF_ACME}?state=LOST")).status == 400


async def test_dead_jobs_are_found_tried_again_and_discarded(placement: Client, trouble: Trouble) -> None:
    """Who has some is told by the cell, across its tenants; the rest by tenant."""
    names = await trouble.dead(3)
    await trouble.dead(1, "other")
    [tenant] = (await placement("GET", "/v1/cells/cell-1/dead-jobs")).body["tenants"]
    assert (tenant["tenant_id"], tenant["jobs"]) == ("acme", 4)
    listed = (await placement("GET", f"{JOBS}?state=dead&page_size=3")).body
    assert (len(listed["jobs"]), listed["counts"]["dead"]) == (3, 4)
    token = listed["next_page_token"]
    assert len((await placement("GET", f"{JOBS}?state=dead&page_size=3&page_token={token}")).body["jobs"]) == 1
    assert (await placement("POST", f"{JOBS}:retry", {"jobs": names[:1]})).body == {"jobs": 1, "left": 0}
    assert (await placement("POST", f"{JOBS}:retry", {"all": True, "actor": "robot"})).body["jobs"] == 2
    discarded = await placement("POST", f"{JOBS}:discard", {"all": True})
    assert discarded.body == {"jobs": 1, "left": 0}
    counts = (await placement("GET", JOBS)).body["counts"]
    assert counts == {"waiting": 3, "running": 0, "done": 0, "dead": 0}
    assert (await placement("GET", "/v1/cells/cell-1/dead-jobs")).body["tenants"] == []


async def test_a_word_about_jobs_names_them_or_says_all(placement: Client, trouble: Trouble) -> None:
    """Never nothing and never both; one that is not there is told by its name."""
    for body in ({}, {"all": True, "jobs": ["job-1"]}, {"jobs": []}, {"jobs": ["job-1"], "actor": "robot"}):
        assert (await placement("POST", f"{JOBS}:discard", body)).status == 400
    missing = await placement("POST", f"{JOBS}:retry", {"jobs": ["job-nobody"]})
    assert (missing.status, missing.body["message"]) == (404, 'no job "job-nobody"')


async def test_a_deleted_tenant_has_no_work_and_a_cell_that_is_away_is_waited_for(
    placement: Client, cell: FakeCell
) -> None:
    """409 and 503."""
    await placement.create("acme")
    cell.mode = "failing"
    assert (await placement("GET", OF_ACME)).status == 503
    assert (await placement("GET", "/v1/cells/cell-1/dead-jobs")).status == 503
    cell.mode = "well"
    await placement("POST", "/v1/tenants/acme:suspend")
    await placement("DELETE", "/v1/tenants/acme")
    assert (await placement("GET", OF_ACME)).status == 409
    assert (await placement("POST", f"{JOBS}:retry", {"all": True})).status == 409
