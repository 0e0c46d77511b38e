"""Work that is done by workers: what was asked for is provisioned once, and its effects are there once."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from loadtests.history.rules.values import Effects, Fault, Provisioning, Violation


def check(provisionings: Sequence[Provisioning], effects: Mapping[str, Effects]) -> Iterator[Violation]:
    """All tenants; `effects` has those of which it could be read."""
    by_tenant: defaultdict[str, list[Provisioning]] = defaultdict(list)
    for provisioning in provisionings:
        by_tenant[provisioning.tenant].append(provisioning)
    for tenant, asked in sorted(by_tenant.items()):
        if tenant in effects:
            yield from check_one(tenant, asked, effects[tenant])
        else:
            yield Violation("undecided", tenant, "what was provisioned could not be read")


def check_one(tenant: str, asked: Sequence[Provisioning], effects: Effects) -> Iterator[Violation]:
    """One tenant."""
    active, operations = Counter(effects.active), Counter(effects.operations)
    outcomes = {each.target: each.outcome for each in asked}
    for target in effects.unfinished:
        yield Violation("undecided", tenant, f"{target} is neither there nor given up")
    for each in asked:
        if each.outcome == "acknowledged" and not active[each.target] and each.target not in effects.unfinished:
            told = effects.failed.get(each.target, "there is no operation for it")
            yield Violation("lost", tenant, f"{each.target} was accepted at {each.ended:.3f}: {told}")
    for target in active.keys() | operations.keys():
        if outcomes.get(target, "refused") == "refused":
            yield Violation("phantom", tenant, f"{target} was provisioned, and not asked for")
        if active[target] != 1 or operations[target] != 1:
            fault: Fault = "doubled" if max(active[target], operations[target]) > 1 else "lost"
            told = f"{target} is there {active[target]} times, by {operations[target]} operations"
            yield Violation(fault, tenant, told)
    if effects.used != len(effects.active):
        fault = "doubled" if effects.used > len(effects.active) else "lost"
        yield Violation(
            fault, tenant, f"{effects.used} provisionings are counted, and {len(effects.active)} are there"
        )
