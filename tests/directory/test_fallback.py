"""The preferred lock is away: somebody goes on to lead all the same, and whoever reaches it wins in the end."""

import asyncio
from collections.abc import Callable

import pytest

from directory.errors import NotLeader, Unavailable
from directory.fallback_leadership import FallbackLeadership
from directory.leadership import Lock
from directory.leading import KEPT_TIMES, Candidate
from directory.memory import MemoryDirectory
from directory.memory_leadership import MemoryLeadership, MemoryTerms
from runtime.clock import ManualClock
from runtime.tasks import Tasks
from tests.directory.examples import open_cell
from tests.waiting import eventually

SECONDS = 9.0
"""How long both locks live."""
STEP_SECONDS = SECONDS / KEPT_TIMES / 4


class Leaving:
    """One process's way to a lock, which can be cut."""

    def __init__(self, inner: MemoryLeadership) -> None:
        self.inner, self.is_away = inner, False
        self.lives_seconds = inner.lives_seconds

    def _reach(self) -> MemoryLeadership:
        if self.is_away:
            raise Unavailable("away")
        return self.inner

    async def gain(self, resource: str, owner: str) -> Lock | None:
        return await self._reach().gain(resource, owner)

    async def take(self, resource: str, owner: str) -> Lock:
        return await self._reach().take(resource, owner)

    async def keep(self, lock: Lock) -> bool:
        return await self._reach().keep(lock)

    async def give_up(self, lock: Lock) -> None:
        await self._reach().give_up(lock)

    async def leader(self, resource: str) -> str | None:
        return await self._reach().leader(resource)

    async def wait(self, resource: str, seconds: float) -> None:
        self._reach()  # and no longer: the clock of these tests does not go on meanwhile
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Nothing to close."""


class Party:
    """A candidate with its own ways to both locks."""

    def __init__(self, hall: "Hall", owner: str) -> None:
        self.preferred, self.spare = Leaving(hall.preferred), Leaving(hall.spare)
        self.leadership = FallbackLeadership(self.preferred, self.spare, hall.clock)
        self.candidate = Candidate(self.leadership, hall.terms, "placement", owner, hall.clock)


class Hall:
    """Where they meet; time passes in small steps, in each of which everybody may act."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.directory = MemoryDirectory(self.clock)
        self.terms = MemoryTerms(self.directory)
        self.preferred, self.spare = (MemoryLeadership(SECONDS, self.clock) for _ in range(2))
        self.one, self.other = Party(self, "one"), Party(self, "other")
        self.tasks = Tasks(self.clock)

    def stand(self, *parties: Party) -> None:
        """From now on."""
        for party in parties:
            self.tasks.keep(party.candidate.owner, party.candidate.go_on)

    async def pass_time(self, seconds: float) -> None:
        """As little at once as makes no difference."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            self.clock.advance(STEP_SECONDS / 4)
            for _ in range(20):
                await asyncio.sleep(0)

    async def until(self, condition: Callable[[], object]) -> float:
        """How long it took."""
        began = self.clock.monotonic()

        async def passed() -> object:
            await self.pass_time(STEP_SECONDS / 4)
            return condition()

        await eventually(passed, every=0)
        return self.clock.monotonic() - began

    async def leads(self, party: Party) -> int:
        """The term that it leads in."""
        await self.until(lambda: party.candidate.term)
        assert party.candidate.term is not None
        return party.candidate.term.number

    async def latest(self) -> int:
        """The number of the latest term."""
        term = await self.terms.latest("placement")
        assert term is not None
        return term.number


@pytest.fixture
def hall() -> Hall:
    """With nobody who stands."""
    return Hall()


async def test_who_leads_goes_on_in_its_term_while_the_preferred_lock_is_away(hall: Hall) -> None:
    """For everybody, as long as it likes; when it is back, it is the same one's again."""
    hall.stand(hall.one)
    number = await hall.leads(hall.one)
    hall.stand(hall.other)
    for party in (hall.one, hall.other):
        party.preferred.is_away = True
    for _ in range(20):
        await hall.pass_time(SECONDS / 2)
        assert hall.one.candidate.term is not None
        assert hall.other.candidate.term is None
    assert await hall.preferred.leader("placement") is None
    hall.one.preferred.is_away = False
    await hall.pass_time(SECONDS)
    hall.other.preferred.is_away = False
    await hall.pass_time(5 * SECONDS)
    assert await hall.preferred.leader("placement") == "one"
    assert await hall.leads(hall.one) == await hall.latest() == number
    await hall.tasks.close()


async def test_who_dies_meanwhile_is_followed_by_the_spare_lock(hall: Hall) -> None:
    """Once the preferred one was away for as long as it lives, and not for a hiccup."""
    hall.one.preferred.is_away = True
    hall.stand(hall.one)
    await hall.pass_time(SECONDS / 2)
    assert hall.one.candidate.term is None
    first = await hall.leads(hall.one)
    hall.other.preferred.is_away = True
    hall.stand(hall.other)
    await hall.pass_time(5 * SECONDS)
    assert hall.other.candidate.term is None
    await hall.one.candidate.give_up()
    hall.one.spare.is_away = True
    assert await hall.leads(hall.other) > first
    await hall.tasks.close()


async def test_whoever_reaches_the_preferred_lock_wins_and_there_is_no_war(hall: Hall) -> None:
    """The other is cut off from it, leads by the spare one, and is relieved of that once."""
    hall.one.preferred.is_away = True
    hall.stand(hall.one)
    first = await hall.leads(hall.one)
    old = hall.one.candidate.term
    assert old is not None
    await open_cell(hall.directory)
    hall.stand(hall.other)
    second = await hall.leads(hall.other)
    assert second > first
    with pytest.raises(NotLeader):
        await hall.directory.change_cell("cell-1", "cordon", old)
    for _ in range(30):
        await hall.pass_time(SECONDS / 2)
        assert hall.other.candidate.term is not None
    assert hall.one.candidate.term is None
    assert await hall.latest() == second
    hall.one.preferred.is_away = False
    await hall.pass_time(5 * SECONDS)
    assert await hall.latest() == second
    await hall.tasks.close()


async def test_a_leader_that_is_cut_off_from_it_is_followed_by_who_is_not(hall: Hall) -> None:
    """When its preferred lock has ended: then once, and back only when the other is cut off."""
    hall.stand(hall.one)
    first = await hall.leads(hall.one)
    hall.stand(hall.other)
    hall.one.preferred.is_away = True
    second = await hall.leads(hall.other)
    await hall.pass_time(8 * SECONDS)
    assert (await hall.latest(), hall.one.candidate.term) == (second, None)
    hall.one.preferred.is_away, hall.other.preferred.is_away = False, True
    third = await hall.leads(hall.one)
    await hall.pass_time(8 * SECONDS)
    assert first < second < third == await hall.latest()
    await hall.tasks.close()


async def test_a_preferred_lock_that_another_gained_is_not_taken_back(hall: Hall) -> None:
    """Such as after an operator removed it: others are told at once, and the first one follows."""
    hall.stand(hall.one)
    first = await hall.leads(hall.one)
    hall.stand(hall.other)
    hall.preferred._held.clear()
    second = await hall.leads(hall.other)
    await hall.until(lambda: hall.one.candidate.term is None)
    await hall.pass_time(5 * SECONDS)
    assert await hall.latest() == second > first
    await hall.tasks.close()


async def test_while_the_spare_locks_store_is_away_the_preferred_one_is_kept(hall: Hall) -> None:
    """Nothing can be decided, and there is no reason for another leader; when it is back, all is as it was."""
    hall.stand(hall.one)
    first = await hall.leads(hall.one)
    hall.stand(hall.other)
    for party in (hall.one, hall.other):
        party.spare.is_away = True
    await hall.pass_time(5 * SECONDS)
    assert hall.one.candidate.term is not None
    assert hall.other.candidate.term is None
    for party in (hall.one, hall.other):
        party.spare.is_away = False
    await hall.until(lambda: hall.spare._holder("placement"))
    await hall.pass_time(SECONDS)
    assert await hall.leads(hall.one) == await hall.latest() == first
    assert await hall.spare.leader("placement") == "one"
    await hall.tasks.close()


async def test_a_preferred_lock_without_the_spare_one_is_given_up(hall: Hall) -> None:
    """Whoever reaches both may lead; and whoever reaches neither says so."""
    hall.one.spare.is_away = True
    with pytest.raises(Unavailable):
        await hall.one.leadership.gain("placement", "one")
    assert await hall.preferred.leader("placement") is None
    lock = await hall.other.leadership.gain("placement", "other")
    assert lock is not None
    hall.other.preferred.is_away = hall.other.spare.is_away = True
    for call in (
        hall.other.leadership.keep(lock),
        hall.other.leadership.leader("placement"),
        hall.other.leadership.wait("placement", 10),
        hall.other.leadership.give_up(lock),
        hall.other.leadership.gain("placement", "other"),
    ):
        with pytest.raises(Unavailable):
            await call


async def test_a_preferred_lock_whose_store_hangs_does_not_hold_up_the_spare_one() -> None:
    """It is asked for a part of the lock's life, and then taken to be away."""
    preferred, spare = MemoryLeadership(0.3), MemoryLeadership(0.3)
    leadership = FallbackLeadership(preferred, spare)
    lock = await leadership.gain("placement", "one")
    assert lock is not None

    async def hang(lock: Lock) -> bool:
        return await asyncio.Event().wait()

    preferred.keep = hang  # type: ignore[method-assign]
    assert await leadership.keep(lock)
    assert await spare.leader("placement") == "one"


async def test_whoever_was_superseded_while_its_lock_held_rests_before_it_stands_again(hall: Hall) -> None:
    """So that two who each hold a lock that the other does not know do not take turns."""
    hall.stand(hall.one)
    first = await hall.leads(hall.one)
    await hall.terms.begin("placement", "somebody with another Consul")
    await hall.until(lambda: hall.one.candidate.term is None)
    assert (await hall.preferred.leader("placement"), await hall.spare.leader("placement")) == (None, None)
    rested = await hall.until(lambda: hall.one.candidate.term)
    assert rested >= SECONDS - STEP_SECONDS
    assert await hall.latest() > first
    await hall.tasks.close()
