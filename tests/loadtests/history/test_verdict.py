"""What was asked of workers, the whole verdict, and how long clients waited."""

from dataclasses import replace

from loadtests.history.rules import pauses, works
from loadtests.history.rules.pauses import Served, Window
from loadtests.history.rules.values import Effects, History, Provisioning, Read, Swap
from loadtests.history.rules.verdict import judge

ASKED = Provisioning("t", "n1", 1, 2, "acknowledged")
DONE = Effects(active=["n1"], unfinished=[], operations=["n1"], used=1)


def faults(effects: Effects, *asked: Provisioning) -> list[str]:
    return [violation.fault for violation in works.check(asked or (ASKED,), {"t": effects})]


def test_what_was_accepted_is_provisioned_once_and_counted_once() -> None:
    """Anything else is lost, doubled, or not done yet."""
    assert faults(DONE) == []
    assert faults(replace(DONE, active=[], operations=[], used=0)) == ["lost"]
    assert faults(replace(DONE, operations=["n1", "n1"])) == ["doubled"]
    assert faults(replace(DONE, used=2)) == ["doubled"]
    assert faults(replace(DONE, used=0)) == ["lost"]
    assert faults(replace(DONE, active=[], operations=[], used=0, unfinished=["n1"])) == ["undecided"]


def test_what_nobody_knows_of_is_provisioned_wholly_or_not_at_all() -> None:
    """And what was refused, never."""
    unknown = replace(ASKED, target="n2", outcome="unknown")
    assert faults(DONE, ASKED, unknown) == []
    assert faults(Effects(["n1", "n2"], [], ["n1", "n2"], 2), ASKED, unknown) == []
    assert faults(Effects(["n1", "n2"], [], ["n1"], 2), ASKED, unknown) == ["lost"]
    assert "phantom" in faults(DONE, replace(ASKED, outcome="refused"))


def test_a_tenant_of_which_nothing_can_be_read_is_undecided() -> None:
    """It is never taken for right."""
    assert [violation.fault for violation in works.check([ASKED], {})] == ["undecided"]


def test_a_verdict_counts_what_was_noted_and_what_is_wrong() -> None:
    """A history of nothing does not hold either: it would say nothing."""
    swap = Swap("t/r", "0", "a", 1, 2, "acknowledged")
    right = History(
        [swap], [Read("t/r", "a", 3, 4)], provisionings=[ASKED], registers={"t/r": "a"}, effects={"t": DONE}
    )
    verdict = judge(right)
    assert (verdict.acknowledged, verdict.reads, verdict.keys, verdict.holds) == (2, 1, 2, True)
    wrong = judge(replace(right, reads=[Read("t/r", "0", 3, 4)]))
    assert (wrong.faults()["stale"], wrong.holds) == (1, False)
    assert not judge(History()).holds


def test_a_client_waited_as_long_as_its_longest_call_within_the_switch() -> None:
    """Calls of other tenants, and those at other times, tell nothing of it."""
    served = [Served("t", 1.0, 1.3), Served("t", 1.1, 1.2), Served("t", 5.0, 9.0), Served("u", 1.0, 4.0)]
    assert [round(wait) for wait in pauses.longest_waits(served, [Window("t", 1.1, 1.4)])] == [300]
    assert pauses.longest_waits(served, [Window("t", 2.0, 3.0)]) == []
    assert pauses.spread([]) == {"p50": 0.0, "p90": 0.0, "p99": 0.0, "max": 0.0}
    assert pauses.spread([3.0, 1.0, 2.0])["p50"] == 2.0
