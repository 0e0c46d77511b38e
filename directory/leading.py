"""Stands for election to lead a resource, and leads for as long as it can.

What is done as a leader reads `term` first, and carries it with each decision. That the term is still ours may
turn wrong the moment after: the directory then refuses the decision with `NotLeader`, and nothing has happened.
"""

import random
from contextlib import suppress

from directory.errors import Unavailable
from directory.fallback_leadership import FallbackLeadership
from directory.leadership import Leadership, Lock, Terms
from directory.postgres_leadership import PostgresLeadership
from directory.values import Term
from runtime import logs
from runtime.absences import Absence
from runtime.clock import Clock, SystemClock
from runtime.database import Pool
from runtime.settings import SecretStr

log = logs.get("directory.leading")

WAIT_SECONDS = 20.0
AGAIN_SECONDS = 0.3
"""Between a wait and the next try, so that a lock which is free and cannot be had yet is not asked for all the
time."""
KEPT_TIMES = 3
"""How often a lock is kept within its life: one failure does no harm."""


def open_leadership(
    pool: Pool, consul_url: str | None, consul_token: SecretStr | None, lives_seconds: float
) -> Leadership:
    """The control database's; where there is Consul, that one's, and the control database's while it is away."""
    own = PostgresLeadership(pool, lives_seconds)
    if consul_url is None:
        return own
    # Here, because its client takes a tenth of a second to import, and most processes have no Consul.
    from directory.consul_leadership import ConsulLeadership

    token = consul_token.get_secret_value() if consul_token is not None else None
    return FallbackLeadership(ConsulLeadership(consul_url, token, lives_seconds), own)


class Candidate:
    """One process's part in the election of one resource's leader; `runtime.tasks` calls `go_on` again and again.

    Invariant: `term` is only set while the lock was held lately enough that nobody else can have it, as far as our
    own clock can tell.
    """

    def __init__(
        self, leadership: Leadership, terms: Terms, resource: str, owner: str, clock: Clock | None = None
    ) -> None:
        self._leadership = leadership
        self._terms = terms
        self._clock = clock or SystemClock()
        self._lock: Lock | None = None
        self._term: Term | None = None
        self._until = 0.0
        self._rests_until = 0.0
        self._absence = Absence(log, "leadership", self._clock, resource=resource)
        self.resource, self.owner = resource, owner

    def __repr__(self) -> str:
        term = self.term
        return f"<Candidate {self.owner} {f'leads in term {term.number}' if term else 'waits'}>"

    @property
    def term(self) -> Term | None:
        """The term to decide in; None while another leads, or nobody can tell."""
        return self._term if self._clock.monotonic() < self._until else None

    async def go_on(self) -> None:
        """`step`, and a rest where the lock's store or the directory is away."""
        try:
            await self.step()
        except Unavailable as error:
            self._absence.noted(error)
            await self._absence.rest()

    async def step(self) -> None:
        """Try to lead, or to go on leading. Unavailable: what was held is held for as long as it lives."""
        if self._lock is None or self._term is None:
            await self._stand()
        else:
            if not self._absence.lasts:  # otherwise it has rested, and the lock's life is running out
                await self._clock.sleep(self._leadership.lives_seconds / KEPT_TIMES)
            await self._stay(self._lock, self._term)

    async def give_up(self) -> None:
        """Lead no longer, and let another begin at once."""
        lock = self._lock
        self._stand_down("gave up")
        if lock is not None:
            with suppress(Unavailable):  # it ends by itself
                await self._leadership.give_up(lock)

    async def close(self) -> None:
        """Give up, and close connections."""
        await self.give_up()
        await self._leadership.close()

    async def _stand(self) -> None:
        if (left_seconds := self._rests_until - self._clock.monotonic()) > 0:
            await self._clock.sleep(left_seconds)
        asked = self._clock.monotonic()
        lock = await self._leadership.gain(self.resource, self.owner)
        if lock is None:
            self._absence.over()
            await self._leadership.wait(self.resource, WAIT_SECONDS)
            await self._clock.sleep(AGAIN_SECONDS * random.random())  # noqa: S311 jitter
            return
        self._lock = lock
        try:
            self._term = await self._terms.begin(self.resource, self.owner)
        except Unavailable:
            await self.give_up()  # whoever reaches the directory may lead
            raise
        self._absence.over()
        self._until = asked + self._leadership.lives_seconds
        log.info("leads", resource=self.resource, term=self._term.number, lock=lock.lock_id)

    async def _stay(self, lock: Lock, term: Term) -> None:
        asked = self._clock.monotonic()
        is_kept = await self._leadership.keep(lock)
        self._absence.over()
        if not is_kept:
            self._stand_down("the lock is lost")
            return
        self._until = asked + self._leadership.lives_seconds
        with suppress(Unavailable):  # then nothing can be decided either
            latest = await self._terms.latest(self.resource)
            if latest != term:
                log.warning("another_began", resource=self.resource, term=term.number, latest=repr(latest))
                await self.give_up()
                # Both held a lock: whoever began later has time to settle, and the two do not take turns.
                self._rests_until = self._clock.monotonic() + self._leadership.lives_seconds

    def _stand_down(self, why: str) -> None:
        if self._term is not None:
            log.info("leads_no_longer", resource=self.resource, term=self._term.number, reason=why)
        self._lock, self._term, self._until = None, None, 0.0
