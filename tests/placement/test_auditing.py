"""What is decided is written down, before it is done and after; and nothing that nobody may read there."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest

import placement.app
from directory.audit import NewAuditEntry
from directory.errors import NotAllowed, NotLeader, Unavailable
from directory.memory import MemoryDirectory
from directory.memory_audit import MemoryAudit
from directory.memory_leadership import MemoryTerms
from directory.values import Term
from placement.api.customers import Customer
from placement.api.tenants import NewTenant
from placement.auditing import FORGET_MOST, FORGET_SECONDS, REFUSALS_AT_ONCE, Audit
from placement.rules import recording
from runtime import database
from runtime.api.endpoint import Input
from runtime.api.problem import ApiError
from runtime.clock import ManualClock
from tests.placement.conftest import PEOPLE, TOKENS, Client, StartCell
from tests.placement.decisions import operations
from tests.placement.fake_cell import FakeCell
from tests.servers import ControlDatabase
from tests.waiting import eventually

ENTRY = NewAuditEntry("olaf", "operator", "suspendTenant", ("tenant/acme",))
NOT_TO_BE_KEPT = {
    "email",
    "display_name",
    "reason",
    "note",
    "comment",
    "token",
    "secret",
    "password",
    "seed",
    "api_key",
}


async def entries(placement: Client, **asked: str) -> list[dict[str, Any]]:
    """What a viewer sees, the newest first."""
    query = "&".join(f"{name}={value}" for name, value in {"page_size": "100", **asked}.items())
    answer = await placement("GET", f"/v1/audit?{query}", token=TOKENS["viewer"])
    assert answer.status == 200, answer
    found: list[dict[str, Any]] = answer.body["entries"]
    return found


async def test_every_change_that_is_asked_for_is_in_the_log_with_its_end(placement: Client) -> None:
    """Of every operation that viewers may not call: whether it is refused, comes to nothing, or is done."""
    document = (await placement("GET", "/openapi.json", token=None)).body
    changes = [each for each in operations(document) if each.role != "viewer"]
    assert len(changes) > 20
    for number, each in enumerate(changes):
        request_id = f"request-{number}"
        for role in ("viewer", "admin"):
            headers = {"X-Request-Id": f"{request_id}-{role}"}
            answer = await placement(each.method, each.path, data=b"{}", token=TOKENS[role], headers=headers)
            [entry] = await entries(placement, action=each.name, actor=PEOPLE[role])
            assert (entry["request_id"], entry["role"]) == (f"{request_id}-{role}", role)
            assert entry["outcome"] == answer.body.get("code", "DONE"), (each, answer)
            assert entry["end_time"] is not None
            assert [target.split("/")[0] for target in entry["targets"]][: len(each.parameters)] == list(
                each.parameters
            )
    seen = len(await entries(placement))
    for each in operations(document):
        if each.role == "viewer":
            await placement(each.method, each.path, data=b"{}" if each.method != "GET" else None)
    assert len(await entries(placement)) == seen


def _parts(annotation: Any) -> Iterator[type[Input]]:
    """The models within a field's type."""
    if isinstance(annotation, type) and issubclass(annotation, Input):
        yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _require_decided(model: type[Input]) -> None:
    decided = [kind for kind in model.__mro__ if "recorded" in vars(kind) and kind is not Input]
    assert decided, f"{model.__name__} does not say what of it is kept in the audit log: `recorded`"
    assert model.recorded <= model.model_fields.keys(), model.__name__
    assert not model.recorded & NOT_TO_BE_KEPT, model.__name__
    for name in model.recorded:
        for part in _parts(model.model_fields[name].annotation):
            _require_decided(part)


def _inputs(kind: type[Input] = Input) -> Iterator[type[Input]]:
    for each in kind.__subclasses__():
        yield each
        yield from _inputs(each)


async def test_of_every_body_somebody_decided_what_is_kept(shared: Client) -> None:
    """The model of each change lists it; nothing free, secret or personal is on the list."""
    document = (await shared("GET", "/openapi.json", token=None)).body
    bodies = {each.body for each in operations(document) if each.role != "viewer" and each.body}
    models = {
        model.__name__: model for model in _inputs() if model.__module__.startswith(placement.app.__package__)
    }
    for name in bodies:
        _require_decided(models[name])


async def test_the_log_tells_who_did_what_to_whom(placement: Client, cell: FakeCell) -> None:
    """With what was asked for and what came of it, and neither secrets nor mail addresses nor free text."""
    made = await placement("POST", "/v1/tenants", token=TOKENS["operator"], json={
        "tenant_id": "acme", "display_name": "Acme and Sons", "rate": {"per_second": 5.0, "burst": 10},
        "customer": {
            "email": "ann@acme.example", "display_name": "Ann", "account_id": "main", "namespace_id": "prod",
        },
    })  # fmt: skip
    assert made.status == 201, made
    key = await placement("POST", "/v1/tenants/acme/keys", {"display_name": "for Ann"}, token=TOKENS["admin"])
    assert key.status == 201, key
    by_key, by_creation = await entries(placement, target="acme")
    assert (by_key["actor"], by_key["action"], by_key["outcome"]) == ("ada", "createKey", "DONE")
    assert by_key["targets"] == ["tenant/acme", f"key/{key.body['key_id']}"]
    assert (by_creation["actor"], by_creation["role"], by_creation["outcome"]) == ("olaf", "operator", "DONE")
    assert by_creation["targets"] == ["tenant/acme", "cell/cell-1"]
    assert by_creation["detail"]["body"] == {
        "tenant_id": "acme",
        "rate": {"per_second": 5.0, "burst": 10},
        "customer": {"account_id": "main", "namespace_id": "prod", "left_out": ["display_name", "email"]},
        "left_out": ["display_name"],
    }
    answer = by_creation["detail"]["answer"]
    assert (answer["state"], answer["placement"]["cell_id"]) == ("active", "cell-1")
    chosen = made.body["placement"]
    assert answer["placement"] == {"cell_id": "cell-1", "score": chosen["score"], "reason": chosen["reasons"][0]}
    assert 0 <= chosen["score"] <= 1
    assert by_creation["begin_time"] <= by_creation["end_time"]
    everything = str(await entries(placement))
    for hidden in ("ann@", "Sons", "for Ann", "ck_", "op_", made.body["api_key"], key.body["api_key"]):
        assert hidden not in everything


async def test_the_log_is_found_by_target_actor_action_and_time_page_by_page(
    placement: Client, cell: FakeCell
) -> None:
    """The newest first; what is asked for is bound to the page's token."""
    for tenant_id in ("acme", "bolt", "carl"):
        await placement.create(tenant_id)
    await placement("POST", "/v1/tenants/bolt:suspend", token=TOKENS["operator"])
    assert [one["action"] for one in await entries(placement, target="tenant/bolt")] == [
        "suspendTenant",
        "createTenant",
    ]
    assert [one["targets"][0] for one in await entries(placement, actor="olaf")] == ["tenant/bolt"]
    assert len(await entries(placement, action="createTenant")) == 3
    assert len(await entries(placement, target="cell-1")) == 5  # its registration, and those who live there
    middle = (await entries(placement, target="bolt"))[-1]["end_time"].replace("+00:00", "Z")
    assert [one["targets"][0] for one in await entries(placement, until=middle)] == ["tenant/acme", "cell/cell-1"]
    assert len(await entries(placement, since=middle)) == 3
    token, seen = "", []
    for _ in range(3):
        page = (await placement("GET", f"/v1/audit?page_size=2&page_token={token}")).body
        seen += [one["number"] for one in page["entries"]]
        token = page["next_page_token"]
    assert (len(seen), token) == (5, "")
    assert seen == sorted(seen, reverse=True)
    other = (await placement("GET", "/v1/audit?page_size=2")).body["next_page_token"]
    assert (await placement("GET", f"/v1/audit?page_token={other}&actor=olaf")).status == 400


async def test_a_cell_that_is_opened_without_being_asked_for_is_in_the_log(
    placement: Client, start_cell: StartCell
) -> None:
    """By placement itself; the registration before is the operator's."""
    made = await start_cell()
    made.mode = "failing"
    await placement("POST", "/v1/cells", made.body(), token=TOKENS["admin"])
    made.mode = "well"

    async def opened() -> list[dict[str, Any]]:
        return await entries(placement, actor="placement")

    [entry] = await eventually(opened)
    assert (entry["action"], entry["role"], entry["targets"]) == ("openProvedCell", "placement", ["cell/cell-1"])
    [registration] = await entries(placement, action="registerCell")
    assert registration["detail"]["body"]["control_address"] == made.url
    assert registration["detail"]["answer"] == {"state": "joining"}


async def test_nothing_is_decided_that_cannot_be_written_down(
    placement: Client, cell: FakeCell, control_database: ControlDatabase
) -> None:
    """503, and the tenant is as it was."""
    await placement.create("acme")
    admin = await database.reach(control_database.admin_dsn)
    try:
        async with admin.transaction():
            await admin.execute("LOCK directory.audit IN ACCESS EXCLUSIVE MODE")
            refused = await placement("POST", "/v1/tenants/acme:suspend")
            assert (refused.status, refused.body["retryable"]) == (503, True)
            assert (await placement("GET", "/v1/tenants/acme")).body["state"] == "active"
    finally:
        await admin.close()
    assert (await placement("POST", "/v1/tenants/acme:suspend")).status == 200


class Desk:
    """An audit log in memory, with the writer over it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.directory = MemoryDirectory(self.clock)
        self.log = MemoryAudit(self.directory)
        self.audit = Audit(self.log, self.clock)

    async def outcomes(self) -> list[str | None]:
        """The newest first."""
        return [entry.outcome for entry in await self.log.entries()]


async def test_whoever_dies_between_the_entry_and_the_outcome_leaves_the_entry() -> None:
    """A cancellation is as near to a death as a test in one process comes: nothing more is written."""
    desk, begun = Desk(), asyncio.Event()

    async def decide() -> None:
        async with desk.audit.recorded(ENTRY):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(decide())
    await begun.wait()
    assert await desk.outcomes() == [None]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await desk.outcomes() == [None]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ApiError("NOT_FOUND", "x"), "NOT_FOUND"),
        (NotAllowed("x"), "FAILED_PRECONDITION"),
        (Unavailable("x"), "UNAVAILABLE"),
        (ZeroDivisionError(), "INTERNAL"),
    ],
)
async def test_what_fails_is_written_down_as_it_is_answered(error: Exception, code: str) -> None:
    """By its code, and the error goes on its way."""
    desk = Desk()
    with pytest.raises(type(error)):
        async with desk.audit.recorded(ENTRY):
            raise error
    assert await desk.outcomes() == [code]


class Failing(MemoryAudit):
    """A log that is away from the second entry on."""

    async def record(self, entry: NewAuditEntry, term: Term | None = None) -> int:
        if entry.outcome is not None:
            raise Unavailable("away")
        return await super().record(entry, term)


async def test_a_decision_whose_outcome_cannot_be_written_stands() -> None:
    """Its client is answered what is true: a secret that is shown once must not be lost to the log."""
    log = Failing(MemoryDirectory(ManualClock()))
    async with Audit(log).recorded(ENTRY) as recording_:
        recording_.came({"answer": {}})
    assert [entry.outcome for entry in await log.entries()] == [None]


async def test_placements_own_decisions_carry_their_term() -> None:
    """Who leads no longer neither decides nor writes."""
    desk = Desk()
    terms = MemoryTerms(desk.directory)
    old = await terms.begin("placement", "one")
    await desk.audit.decided("beginWave", "plan/p-1", {"wave": 2, "why": "Bearer op_secret"}, old)
    await terms.begin("placement", "another")
    done = []
    with pytest.raises(NotLeader):
        async with desk.audit.deciding("beginWave", ["plan/p-1"], term=old):
            done.append(1)
    assert not done
    [entry] = await desk.log.entries()
    assert (entry.actor, entry.role, entry.outcome, entry.targets) == (
        "placement",
        "placement",
        "DONE",
        ("plan/p-1",),
    )
    assert entry.detail == {"wave": 2, "why": recording.LEFT_OUT}


async def test_a_decision_that_turns_out_otherwise_is_one_entry_by_what_it_became() -> None:
    """With the reason, and nothing in that which nobody may read."""
    desk = Desk()
    for why in ("cell-2 is cordoned", "Bearer op_secret"):
        async with desk.audit.deciding("beginPlanMove", "tenant/acme", {"wave": 1}) as recording_:
            recording_.became("refusePlanMove", why)
    found = await desk.log.entries()
    assert [(entry.action, entry.outcome) for entry in found] == [("refusePlanMove", "DONE")] * 2
    assert [entry.detail for entry in reversed(found)] == [
        {"wave": 1, "why": "cell-2 is cordoned"},
        {"wave": 1, "why": recording.LEFT_OUT},
    ]


async def test_old_entries_are_forgotten_until_none_is_left() -> None:
    """Placement does it by itself, again and again, and rests in between."""
    desk = Desk()
    for _ in range(FORGET_MOST + 10):
        await desk.log.record(ENTRY)
    kept_seconds = 400 * 86_400.0
    desk.clock.advance(kept_seconds)
    await desk.log.record(ENTRY)
    await desk.audit.forget(kept_seconds)
    assert len(await desk.log.entries(limit=2000)) == 11
    resting = asyncio.get_running_loop().create_task(desk.audit.forget(kept_seconds))
    await asyncio.sleep(0)
    assert (len(await desk.log.entries()), resting.done()) == (1, False)
    desk.clock.advance(FORGET_SECONDS)
    await resting


async def test_one_person_cannot_fill_the_log_with_refusals() -> None:
    """They cost nothing to make; others are not held up by them."""
    desk, error = Desk(), ApiError("PERMISSION_DENIED", "x")
    for _ in range(REFUSALS_AT_ONCE + 50):
        await desk.audit.refused(ENTRY, error)
    assert len(await desk.log.entries(limit=1000)) == REFUSALS_AT_ONCE
    await desk.audit.refused(replace(ENTRY, actor="vera"), error)
    desk.clock.advance(2)
    for _ in range(10):
        await desk.audit.refused(ENTRY, error)
    assert len(await desk.log.entries(limit=1000)) == REFUSALS_AT_ONCE + 3


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("ann@acme.example", recording.LEFT_OUT),
        ("ck_acme_secret", recording.LEFT_OUT),
        ("my token is op_123", recording.LEFT_OUT),
        ("shop_erase", "shop_erase"),
        ("http://10.0.0.7:8000", "http://10.0.0.7:8000"),
        ("http://me:secret/10.0.0.7", recording.LEFT_OUT),
        ("postgresql://10.0.0.7/db?password=x", recording.LEFT_OUT),
        ("a\x00b", recording.LEFT_OUT),
        ("\ud800", recording.LEFT_OUT),
        ("x" * 300, "x" * 200 + "…"),
        (list(range(30)), [*range(20), "and 10 more"]),
        (float("nan"), "nan"),
        ({"any": "thing", "who": "ann@acme.example"}, {"any": "thing", "who": recording.LEFT_OUT}),
        ({str(number): 1 for number in range(30)}, {str(number): 1 for number in range(20)}),
        (object(), recording.LEFT_OUT),
        (b"bytes", recording.LEFT_OUT),
    ],
)
def test_what_looks_like_a_secret_is_left_out_wherever_it_is(value: Any, kept: Any) -> None:
    """The second line behind the list of what may be kept; and everything is bounded."""
    assert recording.kept(value) == kept


def test_what_was_not_said_is_not_kept_and_what_is_new_neither() -> None:
    """A field that somebody adds to a model is left out until it is on the list."""

    class Newer(NewTenant):
        secret: str = ""

    body = Newer(tenant_id="acme", display_name="x", secret="hunter2")
    assert recording.body(body) == {"tenant_id": "acme", "left_out": ["display_name", "secret"]}
    assert recording.targets(body) == ("tenant/acme",)
    assert "email" not in Customer.recorded
    assert recording.detail({f"field-{number}": ["x" * 200] * 20 for number in range(30)}).keys() == {"left_out"}
    assert recording.targets_of_path({"key": "ck_acme_x", "tenant": "A b"}, {"key": {"pattern": "^.*$"}}) == (
        "key/?",
        "tenant/?",
    )
