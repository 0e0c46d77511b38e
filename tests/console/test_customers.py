"""Customers are onboarded and offboarded from the command line."""

import pytest

from tests.console.conftest import Cellway
from tests.placement.fake_cell import FakeCell

ANN = ("--email", "ann@acme.example")


async def test_a_new_customer_gets_a_tenant_and_is_followed_to_the_end(operator: Cellway, cell: FakeCell) -> None:
    """Each step is told once, then the key, which is in no other output."""
    ran = await operator("tenants", "onboard", "acme", *ANN)
    assert ran.code == 0, ran
    steps = [line.split()[2] for line in ran.out.splitlines() if " s  " in line and not line.startswith("took")]
    assert steps == ["PENDING", "account", "publish", "COMPLETED"] or steps == ["account", "publish", "COMPLETED"]
    assert "ck_acme_" in ran.out
    assert "It is shown this once" in ran.out
    (order,) = cell.customers["acme"]
    assert (
        order.email,
        order.display_name,
        order.account_id,
        order.namespace_id,
        order.plan,
        order.trial_days,
    ) == (*("ann@acme.example", "acme", "main", "prod", "standard", 14),)
    shown = await operator("tenants", "show", "acme")
    assert "ck_acme_" not in shown.out


async def test_an_existing_tenant_is_onboarded_and_the_same_command_is_the_same_work(
    operator: Cellway, cell: FakeCell
) -> None:
    """Without a key, for that was shown when the tenant was made; another wish is refused with the reason."""
    await operator("tenants", "create", "acme", "--plan", "premium")
    options = (*ANN, "--plan", "premium", "--trial-days", "0", "--account", "eu", "--namespace", "dev", "--json")
    for _ in range(2):
        ran = await operator("tenants", "onboard", "acme", *options)
        assert (ran.code, ran.json["state"], ran.json["api_key"]) == (0, "COMPLETED", None), ran
        assert (ran.json["operation"], ran.json["cell_id"]) == ("op-onboarding-1", "cell-1")
    (order,) = cell.customers["acme"]
    assert (order.account_id, order.namespace_id, order.trial_days) == ("eu", "dev", None)
    other = await operator("tenants", "onboard", "acme", *ANN)
    assert (other.code, "with something else" in other.err) == (1, True)
    again = await operator("tenants", "onboard", "acme", *options, "--attempt", "2")
    assert (again.code, again.json["operation"]) == (0, "op-onboarding-2")


@pytest.mark.parametrize("there", [False, True])
async def test_a_customer_is_onboarded_with_tags_and_revenue(
    operator: Cellway, cell: FakeCell, there: bool
) -> None:
    """As with `tenants create`; of a tenant that is there already they are replaced."""
    tags = ("--tag", "pci") if there else ()  # the only cell has no tag, so nobody is placed by one
    if there:
        await operator("tenants", "create", "acme", "--revenue", "7")
    ran = await operator("tenants", "onboard", "acme", *ANN, *tags, "--revenue", "500")
    assert ran.code == 0, ran
    shown = (await operator("tenants", "show", "acme", "--json")).json
    assert (shown["tags"], shown["revenue"]) == (["pci"] if there else [], 500.0)
    assert (await operator("tenants", "onboard", "acme", *ANN)).code == 0
    assert (await operator("tenants", "show", "acme", "--json")).json["revenue"] == 500.0
    nowhere = await operator("tenants", "onboard", "bolt", *ANN, "--tag", "pci")
    assert (nowhere.code, "pci" in nowhere.err) == (1, True), nowhere


async def test_whoever_does_not_wait_is_told_at_once(operator: Cellway, cell: FakeCell) -> None:
    """And with the Idempotency-Key of before the first key comes again."""
    options = (*ANN, "--no-wait", "--idempotency-key", "intent", "--json")
    first = await operator("tenants", "onboard", "acme", *options)
    again = await operator("tenants", "onboard", "acme", *options)
    assert (first.code, first.json["state"], first.json["operation"]) == (0, "PENDING", "op-onboarding-1")
    assert first.json["api_key"].startswith("ck_acme_")
    assert first.json["api_key"] == again.json["api_key"]


async def test_an_onboarding_that_was_undone_is_1_and_the_key_is_shown_all_the_same(
    operator: Cellway, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in no other answer; and people read how to try again."""
    monkeypatch.setattr("tests.placement.fake_cell.ONBOARDING", ("PENDING", "ROLLED_BACK"))
    ran = await operator("tenants", "onboard", "acme", *ANN)
    assert (ran.code, "--attempt 2" in ran.err, "ck_acme_" in ran.out) == (1, True, True), ran


async def test_an_onboarding_that_takes_too_long_is_5(
    operator: Cellway, cell: FakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on by itself, and the same command follows it."""
    monkeypatch.setattr("tests.placement.fake_cell.ONBOARDING", ("PENDING",))
    monkeypatch.setattr("console.commands.customers.WAIT_SECONDS", 0.0)
    ran = await operator("tenants", "onboard", "acme", *ANN)
    assert (ran.code, "goes on by itself" in ran.err, "ck_acme_" in ran.out) == (5, True, True), ran


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 2),
        ((*ANN, "--trial-days", "366"), 2),
        ((*ANN, "--trial-days", "-1"), 2),
        ((*ANN, "--attempt", "0"), 2),
        ((*ANN, "--revenue", "-1"), 2),
        (("--email", "ann"), 1),
        ((*ANN, "--plan", "gold"), 1),
        ((*ANN, "--namespace", "Prod"), 1),
    ],
)
async def test_a_customer_that_makes_no_sense_is_refused(
    operator: Cellway, cell: FakeCell, options: tuple[str, ...], code: int
) -> None:
    """Nothing is made: no tenant either."""
    ran = await operator("tenants", "onboard", "acme", *options)
    assert (ran.code, ran.out) == (code, ""), ran
    assert (await operator("tenants", "list", "--json")).json == []


async def test_a_customer_leaves_and_is_kept(operator: Cellway, cell: FakeCell) -> None:
    """As often as one likes; who is no customer is not found."""
    await operator("tenants", "create", "acme")
    assert (await operator("tenants", "offboard", "acme")).code == 4
    assert (await operator("tenants", "offboard", "nobody")).code == 4
    await operator("tenants", "onboard", "acme", *ANN)
    too_early = await operator("tenants", "offboard", "acme", "--cancel")
    assert (too_early.code, "no offboarding to cancel" in too_early.err) == (1, True)
    for _ in range(2):
        left = await operator("tenants", "offboard", "acme", "--retention-days", "90", "--json")
        assert (left.code, left.json["operation"]) == (0, "op-leaving")
    kept = await operator("tenants", "offboard", "acme", "--cancel")
    assert (kept.code, "The customer stays" in kept.out) == (0, True)
    assert (await operator("tenants", "offboard", "acme", "--retention-days", "29")).code == 2
