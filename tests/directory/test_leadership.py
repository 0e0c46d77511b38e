"""The contract of leadership, asked of every implementation: memory, the control database, a real Consul, and one
that has another to spare."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from directory.consul_leadership import PREFIX, ConsulLeadership
from directory.errors import NotLeader, Stale, Unavailable
from directory.fallback_leadership import FallbackLeadership
from directory.leadership import Leadership, Lock, Terms
from directory.leading import KEPT_TIMES, Candidate
from directory.memory import MemoryDirectory
from directory.memory_leadership import MemoryLeadership, MemoryTerms
from directory.memory_moves import MemoryMoves
from directory.moves import Moves
from directory.postgres import PostgresDirectory
from directory.postgres_leadership import PostgresLeadership, PostgresTerms
from directory.postgres_moves import PostgresMoves
from directory.truth import Directory
from directory.values import NewMove
from runtime import database
from runtime.clock import Clock, ManualClock, SystemClock
from runtime.embedded import ports
from runtime.tasks import Tasks
from tests.consuls import ConsulServer
from tests.directory.examples import new_cell, new_tenant
from tests.servers import ControlDatabase
from tests.waiting import eventually

LIVES_SECONDS = 1.0
"""The servers of these tests allow sessions as short as that; others have ten seconds at least."""


@dataclass
class Election:
    """Two who want to lead, each with what a process of its own would have; `outlive` lets their locks end."""

    one: Leadership
    other: Leadership
    terms: Terms
    directory: Directory
    moves: Moves
    clock: Clock
    outlive: Callable[[], Awaitable[None]]
    resource: str


async def _is_free(leadership: Leadership, resource: str) -> bool:
    return await leadership.leader(resource) is None


OUTLIVE = "UPDATE directory.locks SET until = until - make_interval(secs => $1)"


@contextlib.asynccontextmanager
async def _in_postgres(
    control: ControlDatabase, consul: ConsulServer | None, spare: bool = False
) -> AsyncIterator[Election]:
    pool = await database.open_pool(control.writer_dsn, name="test")
    resource = f"placement/{secrets.token_hex(3)}"
    one: Leadership = PostgresLeadership(pool, LIVES_SECONDS * 30)
    other: Leadership = PostgresLeadership(pool, LIVES_SECONDS * 30)

    async def shift() -> None:
        await pool.execute(OUTLIVE, LIVES_SECONDS * 30)

    async def wait() -> None:
        await eventually(lambda: _is_free(one, resource))

    outlive = shift
    if consul is not None:
        await consul.ready()
        one, other = (ConsulLeadership(consul.url, None, LIVES_SECONDS) for _ in range(2))
        outlive = wait
    if consul is not None and spare:
        looking = one

        async def wait_for_both() -> None:
            await wait()
            await eventually(lambda: _is_free(looking, resource))

        one, other = (FallbackLeadership(each, PostgresLeadership(pool, LIVES_SECONDS)) for each in (one, other))
        outlive = wait_for_both
    terms, directory, moves = PostgresTerms(pool), PostgresDirectory(pool), PostgresMoves(pool)
    yield Election(one, other, terms, directory, moves, SystemClock(), outlive, resource)
    await one.close()
    await other.close()
    await pool.close()


def _in_memory(*, spare: bool = False) -> Election:
    clock = ManualClock()
    directory, locks = MemoryDirectory(clock), MemoryLeadership(LIVES_SECONDS, clock)
    one: Leadership = locks
    other: Leadership = locks
    if spare:
        second = MemoryLeadership(LIVES_SECONDS, clock)
        one, other = (FallbackLeadership(locks, second, clock) for _ in range(2))

    async def outlive() -> None:
        clock.advance(LIVES_SECONDS)

    return Election(
        one, other, MemoryTerms(directory), directory, MemoryMoves(directory), clock, outlive, "placement"
    )


@pytest.fixture(params=["memory", "memory with a spare", "postgres", "consul", "consul with a spare"])
async def election(request: pytest.FixtureRequest, control_database: ControlDatabase) -> AsyncIterator[Election]:
    """Of each kind; the terms of those outside memory are the control database's."""
    kind, _, more = str(request.param).partition(" with ")
    if kind == "memory":
        yield _in_memory(spare=bool(more))
        return
    consul = request.getfixturevalue("consul_server") if kind == "consul" else None
    async with _in_postgres(control_database, consul, bool(more)) as made:
        yield made


async def _gained(leadership: Leadership, resource: str, owner: str = "one") -> Lock:
    """Gained, after whatever delay Consul imposes upon a lock whose session has died."""
    found = await eventually(lambda: leadership.gain(resource, owner))
    assert found is not None
    return found


async def test_a_lock_is_one_owners_until_it_is_given_up(election: Election) -> None:
    """Nobody else gains it meanwhile, not even the same owner once more; then the next does, at once."""
    assert await election.one.leader(election.resource) is None
    lock = await election.one.gain(election.resource, "one")
    assert lock is not None
    assert await election.other.gain(election.resource, "other") is None
    assert await election.one.gain(election.resource, "one") is None
    assert await election.other.leader(election.resource) == "one"
    await election.one.give_up(lock)
    assert await election.other.leader(election.resource) is None
    assert await election.other.gain(election.resource, "other") is not None
    assert await election.one.leader(election.resource) == "other"


async def test_a_lock_that_is_kept_outlives_its_life(election: Election) -> None:
    """However often that passes."""
    lock = await _gained(election.one, election.resource)
    if isinstance(election.clock, ManualClock):
        for _ in range(5):
            election.clock.advance(LIVES_SECONDS / 2)
            assert await election.one.keep(lock)
    else:
        end = time.monotonic() + 2.5 * LIVES_SECONDS
        while time.monotonic() < end:
            assert await election.one.keep(lock)
            await asyncio.sleep(LIVES_SECONDS / 4)
    assert await election.other.gain(election.resource, "other") is None


async def test_a_lock_that_is_not_kept_is_lost_for_good(election: Election) -> None:
    """Others gain it; whoever had it is told, and does not take it from them by keeping it or giving it up."""
    lock = await _gained(election.one, election.resource)
    await election.outlive()
    assert not await election.one.keep(lock)
    await _gained(election.other, election.resource, "other")
    assert not await election.one.keep(lock)
    await election.one.give_up(lock)
    assert await election.one.leader(election.resource) == "other"


async def test_each_resource_has_a_leader_of_its_own(election: Election) -> None:
    """Such as one a region."""
    elsewhere = f"{election.resource}-elsewhere"
    await _gained(election.one, election.resource)
    assert await election.other.gain(elsewhere, "other") is not None
    assert await election.one.leader(election.resource) == "one"
    assert await election.one.leader(elsewhere) == "other"


async def test_whoever_waits_is_told_when_the_lock_is_given_up(election: Election) -> None:
    """Long before the time is over; a lock that is free is not waited for."""
    await election.other.wait(election.resource, 30)
    lock = await _gained(election.one, election.resource)
    tasks = Tasks()

    async def wait_and_gain() -> Lock:
        while True:
            if (gained := await election.other.gain(election.resource, "other")) is not None:
                return gained
            await election.other.wait(election.resource, 30)

    waiting = tasks.spawn("wait", wait_and_gain())
    await eventually(lambda: election.one.keep(lock))
    await election.one.give_up(lock)
    async with asyncio.timeout(10):
        assert (await waiting).owner == "other"
    await tasks.close()


async def test_numbers_of_terms_only_grow_and_are_epochs(election: Election) -> None:
    """Also when many begin at once: the latest is the greatest, and never an epoch that something else has."""
    assert await election.terms.latest(election.resource) is None
    first = await election.terms.begin(election.resource, "one")
    begun = await asyncio.gather(*(election.terms.begin(election.resource, f"p{n}") for n in range(8)))
    numbers = [term.number for term in begun]
    assert len(set(numbers)) == 8
    assert min(numbers) > first.number
    latest = await election.terms.latest(election.resource)
    assert latest is not None
    assert latest.number == max(numbers)
    await election.terms.begin("another", "one")
    assert [term.resource for term in await election.terms.all()] == ["another", election.resource]
    assert await election.terms.latest(election.resource) == latest


async def test_the_directory_refuses_what_an_earlier_leader_decides(election: Election) -> None:
    """`NotLeader`, and nothing has changed; of cells and of moves alike. The latest leader's is recorded."""
    directory, terms, name = election.directory, election.terms, election.resource
    await directory.register_cell(new_cell())
    await directory.register_cell(new_cell("cell-2"))
    earlier = await terms.begin(name, "one")
    await directory.change_cell("cell-1", "prove", earlier)
    await directory.change_cell("cell-2", "prove", earlier)
    await directory.create_tenant(new_tenant(), "cell-1")
    head = await directory.head()
    later = await terms.begin(name, "other")
    for decision in (
        directory.change_cell("cell-1", "cordon", earlier),
        election.moves.plan(NewMove("acme", "cell-2"), earlier),
    ):
        with pytest.raises(NotLeader, match=str(later.number)) as refused:
            await decision
        assert isinstance(refused.value, Stale)
    assert (await directory.head(), await election.moves.moves()) == (head, [])
    assert (await directory.change_cell("cell-1", "cordon", later)).state == "cordoned"
    assert (await election.moves.plan(NewMove("acme", "cell-2"), later)).phase == "PLANNED"


async def test_a_term_that_the_directory_does_not_know_decides_nothing(election: Election) -> None:
    """Such as one of before a restored backup, or of another resource."""
    await election.directory.register_cell(new_cell())
    term = await election.terms.begin(election.resource, "one")
    for wrong in (
        type(term)("nobody", term.number, "one", term.since),
        type(term)(election.resource, term.number + 1, "one", term.since),
    ):
        with pytest.raises(NotLeader):
            await election.directory.change_cell("cell-1", "prove", wrong)


async def test_candidates_lead_one_at_a_time_each_with_a_greater_number(election: Election) -> None:
    """Whoever stops on purpose is followed at once."""
    one = Candidate(election.one, election.terms, election.resource, "one", election.clock)
    other = Candidate(election.other, election.terms, election.resource, "other", election.clock)
    first = await _leading(one)
    assert other.term is None
    await one.give_up()
    assert one.term is None
    second = await _leading(other)
    assert second.number > first.number
    assert await election.terms.latest(election.resource) == second
    await other.give_up()


async def _leading(candidate: Candidate) -> "object":
    tasks = Tasks()

    async def until_it_leads() -> None:
        while candidate.term is None:
            await candidate.step()

    async with asyncio.timeout(15):
        await tasks.spawn("lead", until_it_leads())
    assert candidate.term is not None
    return candidate.term


async def _first(election: Election) -> tuple[Candidate, ManualClock]:
    """A leader with a clock of its own; of the stores, only the one in memory has the same."""
    clock = election.clock if isinstance(election.clock, ManualClock) else ManualClock()
    one = Candidate(election.one, election.terms, election.resource, "one", clock)
    await _leading(one)
    return one, clock


async def _kept(one: Candidate, clock: ManualClock) -> None:
    """One more step of a leader, when it is time."""
    tasks = Tasks()
    step = tasks.spawn("step", one.step())
    await asyncio.sleep(0)
    clock.advance(_third_seconds(one))
    await step


def _third_seconds(one: Candidate) -> float:
    """How long a leader rests between two steps."""
    return one._leadership.lives_seconds / KEPT_TIMES


async def test_a_leader_whose_lock_is_lost_leads_no_longer_by_its_own_clock(election: Election) -> None:
    """It does not need to be told: a lock that was not kept for its life may be another's by now."""
    one, clock = await _first(election)
    clock.advance(election.one.lives_seconds)
    assert one.term is None


async def test_a_leader_goes_on_in_its_term_for_as_long_as_it_keeps_the_lock(election: Election) -> None:
    """However long that is."""
    one, clock = await _first(election)
    term = one.term
    for _ in range(2 * KEPT_TIMES):
        await _kept(one, clock)
        assert one.term == term is not None


async def test_a_leader_that_slept_longer_than_its_lock_finds_it_lost_and_follows(election: Election) -> None:
    """Another leads by then; a step tells the sleeper so, and it stands again."""
    one, clock = await _first(election)
    await election.outlive()
    other = Candidate(election.other, election.terms, election.resource, "other", election.clock)
    await _leading(other)
    if clock is not election.clock:
        clock.advance(election.one.lives_seconds)
    assert one.term is None
    await _kept(one, clock)
    assert "waits" in repr(one)
    assert one.term is None
    assert await election.one.leader(election.resource) == "other"


async def test_a_leader_that_another_followed_all_the_same_gives_up(election: Election) -> None:
    """Two locks at once can be, where a lock is only advice; the directory knows one number."""
    one, clock = await _first(election)
    await election.terms.begin(election.resource, "other")
    await _kept(one, clock)
    assert one.term is None
    assert await election.one.leader(election.resource) is None


async def test_a_leader_whose_store_is_away_asks_sooner_than_when_all_is_well() -> None:
    """Its lock's life runs out meanwhile. It says so once, and once that it is over; the term goes on."""
    clock = ManualClock()
    directory, locks = MemoryDirectory(clock), _Leaving(30.0, clock)
    one = Candidate(locks, MemoryTerms(directory), "placement", "one", clock)
    await one.go_on()
    term, tasks = one.term, Tasks(clock)
    locks.is_away = True
    tasks.keep("lead", one.go_on)

    async def asked(times: int) -> bool:
        clock.advance(0.5)
        return locks.asked >= times

    with capture_logs() as lines:
        await eventually(lambda: asked(1), every=0)
        began = clock.monotonic()
        await eventually(lambda: asked(4), every=0)
        assert clock.monotonic() - began < 30.0 / KEPT_TIMES
        assert one.term == term is not None
        locks.is_away = False

        def is_back() -> bool:
            clock.advance(0.5)
            told = [line["event"] for line in lines if line.get("what") == "leadership"]
            return told == ["away", "back"]

        await eventually(is_back, every=0)
    assert one.term == term
    await tasks.close()


class _Leaving(MemoryLeadership):
    """One that can be away."""

    is_away, asked = False, 0

    async def keep(self, lock: Lock) -> bool:
        if self.is_away:
            self.asked += 1
            raise Unavailable("away")
        return await super().keep(lock)


async def test_a_key_that_is_deleted_by_hand_is_a_lost_lock(consul_server: ConsulServer) -> None:
    """Its session lives on; and the lock index begins anew, so it is no number to fence with."""
    await consul_server.ready()
    leadership = ConsulLeadership(consul_server.url, None, LIVES_SECONDS)
    resource = f"deleted/{secrets.token_hex(3)}"
    lock = await _gained(leadership, resource)
    await leadership._agent.write(f"/v1/kv/{PREFIX}/{resource}", "", {"release": lock.lock_id.partition("/")[0]})
    assert not await leadership.keep(lock)
    again = await _gained(leadership, resource)
    assert again.lock_id.endswith("/2")
    await leadership.close()


async def test_a_leader_whose_consul_hangs_leads_no_longer_and_then_again(
    own_consul: ConsulServer, control_database: ControlDatabase
) -> None:
    """Its session may be over by then, or not: it finds out, and what it decides carries the right number."""
    server = own_consul
    pool = await database.open_pool(control_database.writer_dsn, name="test")
    terms, directory = PostgresTerms(pool), PostgresDirectory(pool)
    await directory.register_cell(new_cell())
    candidate = Candidate(ConsulLeadership(server.url, None, LIVES_SECONDS), terms, "placement", "one")
    tasks = Tasks()
    tasks.keep("lead", candidate.step)
    first = await eventually(lambda: candidate.term)
    with server.frozen():
        await eventually(lambda: candidate.term is None, seconds=LIVES_SECONDS * 3)
    again = await eventually(lambda: candidate.term, seconds=30)
    assert first is not None
    assert again is not None
    assert again.number >= first.number
    assert (await directory.change_cell("cell-1", "prove", again)).state == "open"
    await tasks.close()
    await candidate.close()
    await pool.close()


@pytest.mark.parametrize("kind", ["postgres", "consul"])
async def test_a_store_that_is_away_says_so(kind: str) -> None:
    """By its deadline; and a candidate does not lead."""
    port = ports.free_port("127.0.0.1")
    pool = await database.open_pool(f"postgresql://nobody@127.0.0.1:{port}/directory", name="test")
    leadership: Leadership = (
        PostgresLeadership(pool) if kind == "postgres" else ConsulLeadership(f"http://127.0.0.1:{port}")
    )
    lock = Lock("placement", "one", "00000000-0000-0000-0000-000000000000")
    for call in (
        leadership.gain("placement", "one"),
        leadership.keep(lock),
        leadership.give_up(lock),
        leadership.leader("placement"),
        leadership.wait("placement", 10),
    ):
        with pytest.raises(Unavailable):
            await call
    candidate = Candidate(leadership, PostgresTerms(pool), "placement", "one")
    with pytest.raises(Unavailable):
        await candidate.step()
    assert candidate.term is None
    await candidate.close()
    await pool.close()


async def test_a_lock_without_a_directory_is_given_up(consul_server: ConsulServer) -> None:
    """Whoever cannot take a number does not lead, and does not keep others from it."""
    await consul_server.ready()
    port = ports.free_port("127.0.0.1")
    pool = await database.open_pool(f"postgresql://nobody@127.0.0.1:{port}/directory", name="test")
    leadership = ConsulLeadership(consul_server.url, None, LIVES_SECONDS)
    resource = f"numberless/{secrets.token_hex(3)}"
    candidate = Candidate(leadership, PostgresTerms(pool), resource, "one")
    with pytest.raises(Unavailable):
        await candidate.step()
    assert await leadership.leader(resource) is None
    await candidate.close()
    await pool.close()
