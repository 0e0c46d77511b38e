"""One request on its way: for whom, where to, what comes back, and what the client is told.

What need not wait is done at once, in the call that brought the bytes: no task, no future. Only a tenant that is
looked up or held, and a connection that must be opened or waited for, take a task. What to decide is in `rules/`.

Once bytes of a final response were written, only a cut tells of a failure: what a client has must never look whole
when it is not.
"""

import asyncio
import functools
from binascii import hexlify
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from router import metrics, waits
from router.bodies import CONTINUE, RequestBody
from router.errors import (
    RouterError,
    Unreached,
    broken_off,
    gave_up,
    malformed,
    no_such_tenant,
)
from router.pipe import Pipe
from router.problems import Prepared, answer_bytes, date_line, prepared, wait_longer
from router.rules import headers, strict
from router.rules.chunks import Malformed, framed, last_chunk
from router.rules.decide import FAULTS, Attempt, GiveUp, Outcome, Refresh, decide
from router.rules.head import Framing
from router.rules.identify import PATH_PREFIX, Identified, Unidentified, identify
from router.rules.rates import Bucket, limit_header, retry_after
from router.rules.requests import RequestHead
from router.rules.responses import ResponseHead
from router.tenants import Tenant
from router.upstream.connection import Connection
from router.upstream.pool import Pool
from runtime import logs
from runtime.api.problem import ApiError, unauthenticated

if TYPE_CHECKING:
    from router.client import Client
    from router.lane import Lane

log = logs.get("router.passage")
EVENT_ENDS: Final = (b"\n\n", b"\r\r", b"\r\n\r\n")
CELL_FAULTS: Final = frozenset({502, 503, 504})
"""What a cell says of itself that counts against it."""
CAREFUL: Final = CELL_FAULTS | {401}
CLOSE: Final = b"Connection: close\r\n"
PILOT_SECONDS: Final = 0.025
"""A cell says sooner whose the tenant is, unless the request takes its time there: then another one asks."""


class Passage:
    """The receiver of one response; knows the client's side as well."""

    # What most requests leave as it is stands here, once.
    body: RequestBody | None = None
    pipe: Pipe | None = None
    tenant: Tenant | None = None
    _found: Identified | None = None
    _connection: Connection | None = None
    pool: Pool | None = None
    _task: "asyncio.Task[None] | None" = None
    attempts = 0
    stale_attempts = 0
    """Of them, those over kept connections that cells had closed: they learnt nothing of whose the tenant is."""
    tried_epoch = 0
    held_until = 0.0
    """When waiting for the tenant's next cell is over, by the loop's clock; 0.0: it did not begin."""
    _keep_alive = True
    _sent_body = b""
    """What was sent at once of the body: all of it."""
    _plain = False
    """Whether nothing about the request asks for care."""
    _answering = False
    """Whether bytes of a final response were written."""
    _ended = False
    _tried: Pool | None = None
    """Whose breaker was not closed and let it through: it is the one that tries the cell."""
    _chunked = False
    _events = False
    _between_events = True
    moving = False
    """Whether the tenant moves, or moved just now."""
    undecided = False
    """Whether where to is yet to be heard."""
    pilot = False
    """Whether it is the one that finds out where a held tenant lives (`holds`)."""
    scout = False
    """Whether it was, and is still being answered while another one asks as well."""

    def __init__(self, lane: "Lane", client: "Client", head: RequestHead) -> None:
        self.lane, self.client, self.head = lane, client, head
        self.started = self._sent_at = monotonic()
        self.fresh = hexlify(lane.bits(128).to_bytes(16))
        self.ident = head.fields.ident or self.fresh

    def __repr__(self) -> str:
        return f"<Passage {self.ident.decode()} {self.head.method.decode()} attempt {self.attempts}>"

    @property
    def found(self) -> Identified:
        """For whom it is, and its target; of one that was sent at once it is looked at only when it must be."""
        if self._found is None:
            claim = self.head.fields.claim
            if isinstance(claim, Unidentified):
                raise RuntimeError("nobody knows whom this is for")
            self._found = claim._replace(target=self.head.target)
        return self._found

    # --- the request ---

    def begin(self, rest: bytes) -> bytes:
        """Take the request up; `rest` came after its head. Returns what of it belongs to the next request."""
        fields = self.head.fields
        usual = fields.plain and not fields.body_bytes and self.sent_at_once(b"")
        return rest if usual else self._begin_with_care(rest)

    def sent_at_once(self, body: bytes) -> bool:
        """The usual case, spelled out: a known tenant, no body or all of a small one, a kept connection.

        Whether it was so.

        All that is skipped here was found out before about the same bytes (`RequestFields.plain`).
        """
        lane, head = self.lane, self.head
        target, fields, now = head.target, head.fields, self.started
        if not head.minor or target[0] != 0x2F or target.startswith(PATH_PREFIX):
            return False
        if head.method in strict.REFUSED_METHODS or lane.held:
            return False
        tenant = lane.active.get(fields.tenant)
        if tenant is None or tenant.version != lane.table.version:
            return False
        pool = tenant.pool
        if pool is None or pool.state == "stopped" or not pool.breaker.closed:
            return False
        bucket = tenant.bucket
        if bucket is not None and (wait_seconds := bucket.take(now)):
            self._refuse_over_rate(tenant, bucket, wait_seconds, now)
            return True
        connection = pool.lend(tenant, now)
        if connection is None:
            if bucket is not None:
                bucket.put_back()
            return False
        tenant.requests += 1
        pool.budget.requests += 1
        self.tenant, self.pool, self._connection = tenant, pool, connection
        self._plain, self.attempts, self.tried_epoch = True, 1, tenant.epoch
        connection.deadline = now + lane.response_seconds
        client = self.client
        way = client.way_lines if client.way_host == fields.host else client.way(head, self.found)
        parts = (
            head.method,
            b" ",
            target,
            b" HTTP/1.1\r\n",
            fields.lead,
            way,
            tenant.stamp,
            fields.trace or headers.fresh_trace(self.fresh),
            b"X-Request-Id: ",
            self.ident,
            b"\r\n",
            fields.framing_line,
            b"\r\n",
            body,
        )
        self._sent_body = body
        try:
            connection.begin(self, head.method, b"".join(parts))
        except Unreached as unreached:
            self.failed(unreached)
        return True

    def _begin_with_care(self, rest: bytes) -> bytes:
        head, named = self.head, self.head.named
        self._keep_alive = strict.goes_on(head)
        fault = head.fields.fault or strict.request_fault(head)
        if fault is not None:
            self.refuse(malformed(fault), "malformed", close=True)
            return b""
        framing = strict.request_framing(head)
        if not framing.empty:
            self.body = RequestBody(framing, self.lane.replay_bytes)
        unread = b"" if self.body is not None else rest
        if b"via" in named and headers.came_round(named, self.lane.via):
            round_trip = "this request came round: a cell sent it back here"
            self.refuse(ApiError("FAILED_PRECONDITION", round_trip, status=508), "failed_precondition")
            return unread
        if strict.unexpected(head):
            self.refuse(malformed("the only expectation met here is 100-continue", status=417), "invalid_argument")
            return unread
        found = identify(head, self.lane.sources)
        if isinstance(found, Unidentified):
            self._unidentified(found)
            return unread
        self._found = found
        if self.body is None:
            self.go(self.started)
            return rest
        if strict.awaits_continue(head) and not rest:
            self.client.write(CONTINUE)
        if self.body.large:
            self.client.hold(True)  # read only once there is somebody to take it
            self.go(self.started)
        return self.more(rest)

    def more(self, data: bytes) -> bytes:
        """More of the body. Returns what comes after its end."""
        body = self.body
        if body is None or self._ended:
            return data
        try:
            payload, rest = body.take(data) if data else (b"", b"")
            if body.complete:
                body.check_trailers(self.lane.sources.tenant_header)
        except Malformed as fault:
            self._body_malformed(fault)
            return b""
        if self.attempts and body.kept is None:
            self._pass_body(body, payload)
        elif body.kept is not None:
            large = body.large
            body.kept += payload
            if not large and (body.complete or body.large):
                if not body.complete:
                    self.client.hold(True)
                self.go(monotonic())
        return rest

    def _pass_body(self, body: RequestBody, payload: bytes) -> None:
        connection = self._connection
        if connection is None:
            return
        if body.complete:
            if body.has_trailers:
                connection.spoil()  # some servers take trailers for the beginning of the next request
            connection.deadline = self.lane.now + self.lane.response_seconds
        connection.send(body.framed(payload), last=body.complete)

    def _body_malformed(self, fault: Malformed) -> None:
        """The client's own fault, so the cell is not blamed."""
        self._let_go()
        self.refuse(malformed(f"the body's framing is malformed: {fault}"), "body", close=True)

    def body_late(self) -> None:
        """The client stopped sending its body."""
        self._let_go()
        late = ApiError("INVALID_ARGUMENT", "the body did not come in time", status=408, retryable=True)
        self.refuse(late, "body", close=True)

    @property
    def reading(self) -> bool:
        """Whether more of the body is to come."""
        return self.body is not None and not self.body.complete and not self._ended

    def _unidentified(self, why: Unidentified) -> None:
        if why is Unidentified.NO_KEY:
            self.refuse(unauthenticated(), "unauthenticated")
        elif why is Unidentified.NO_SUCH_TENANT:
            self.refuse(no_such_tenant(), "not_found")
        else:
            self.refuse(malformed(self.lane.no_tenant), "invalid_argument")

    # --- to the cell ---

    def go(self, now: float) -> None:
        """The request is read as far as it must be: find its tenant, and send it."""
        tenant = self.lane.tenants.find(self.found.tenant, now)
        if tenant is None:
            self.later(waits.looked_up)
            return
        self.tenant = tenant
        bucket = tenant.bucket
        if bucket is not None and (wait_seconds := bucket.take(now)):
            self._refuse_over_rate(tenant, bucket, wait_seconds, now)
            return
        tenant.requests += 1
        if tenant.name in self.lane.holds.by_tenant:
            self.later(waits.held)
            return
        self._send_to(tenant, now)

    def _send_to(self, tenant: Tenant, now: float) -> None:
        """By a kept connection at once, or later by another."""
        pool = self.open_to(tenant, now)
        if pool is None:
            return
        pool.budget.request()
        connection = pool.lend(tenant, now)
        if connection is None:
            self.later(functools.partial(waits.connected, pool=pool))
        else:
            self.send(pool, connection, now)

    def open_to(self, tenant: Tenant, now: float) -> Pool | None:
        """The pool, when its cell is not known to be of no use now."""
        pool = tenant.pool
        if pool is None:
            self._failed(None, Unreached(Outcome.REFUSED, "the directory has no address for it"))
        elif pool.state == "stopped":
            self._failed(None, Unreached(Outcome.DOWN))
        elif not pool.breaker.closed and not pool.breaker.would(now):
            self._failed(pool, Unreached(Outcome.OPEN))
        else:
            return pool
        return None

    def send(self, pool: Pool, connection: Connection, now: float) -> None:
        """Send it over a connection that was lent for it."""
        lane, head, body, tenant = self.lane, self.head, self.body, self.tenant
        if tenant is None:
            raise RuntimeError("sent before its tenant was known")
        if self._ended:
            pool.give_back(connection, now)
            return
        if not self._may_try(pool, now):
            pool.give_back(connection, now)
            self._failed(pool, Unreached(Outcome.OPEN))
            return
        self._plain = False
        upgrade = lane.pipes_open and strict.asks_websocket(head)
        data = self._head_bytes(tenant, upgrade=upgrade)
        last = True
        if body is not None:
            data += body.beginning()
            last = body.complete
            if last and body.has_trailers:
                connection.spoil()
        self.pool, self._connection = pool, connection
        self.attempts += 1
        self.tried_epoch, self._sent_at = tenant.epoch, now
        connection.deadline = now + lane.response_seconds if last else inf
        try:
            connection.begin(self, head.method, data, last=last, upgrade=upgrade)
        except Unreached as unreached:
            self.failed(unreached)
            return
        if not last:
            self.client.hold(False)
        if not last or strict.may_wait(head):
            pool.excuse(connection)  # how long it takes says nothing about the cell
        if self.pilot:
            loop = asyncio.get_running_loop()
            loop.call_later(PILOT_SECONDS, self._pilot_slow, self.attempts)
            loop.call_later(lane.refresh_seconds, self._pilot_served, self.attempts)

    def _may_try(self, pool: Pool, now: float) -> bool:
        """Whether the breaker lets it through, as it does with what tried the cell before and learnt nothing."""
        if pool.breaker.closed or self._tried is pool:
            return True
        if not pool.breaker.allows(now):
            return False
        self._tried = pool
        return True

    def _head_bytes(self, tenant: Tenant, *, upgrade: bool) -> bytes:
        head, found, fields = self.head, self.found, self.head.fields
        lead = fields.lead
        if found.host is None or found.host != fields.host:
            lead = b"Host: %b\r\n" % (found.host or b"") + lead.partition(b"\r\n")[2]
        return headers.request_bytes(
            head.method,
            found.target,
            lead=lead,
            way=self.client.way(head, found),
            stamp=tenant.stamp,
            trace=fields.trace or headers.fresh_trace(self.fresh),
            ident=self.ident,
            last=headers.UPGRADE if upgrade else headers.framing_line(strict.request_framing(head)),
        )

    def later(self, wait: Callable[["Passage"], Awaitable[None]]) -> None:
        """Go on in a task: something must be waited for."""
        self._task = self.lane.tasks.spawn("passage", self._guarded(wait))

    async def _guarded(self, wait: Callable[["Passage"], Awaitable[None]]) -> None:
        try:
            await wait(self)
        except ApiError as error:
            self.release_pilot()
            self.refuse(error, error.code.lower())
        except Unreached as unreached:
            self._failed(self.pool, unreached)
        except Exception as error:
            log.error("request_failed", error=repr(error), exc_info=error)
            self.fault()

    def release_pilot(self, *, found_home: bool = False) -> None:
        """End the tenant's hold, or hand over finding out where it lives, if that was this request's to do."""
        if self.pilot or (self.scout and found_home):
            self.pilot = self.scout = False
            holds = self.lane.holds
            (holds.end if found_home else holds.pass_on)(self.found.tenant)

    def _pilot_slow(self, attempt: int) -> None:
        """It may be one that waits at the tenant's new home, where the next one is answered at once."""
        if self.pilot and attempt == self.attempts and self._connection is not None:
            self.pilot, self.scout = False, True
            self.lane.holds.pass_on(self.found.tenant)

    def _pilot_served(self, attempt: int) -> None:
        """A cell that does not own the tenant says so at once: one that takes its time does."""
        if attempt == self.attempts and self._connection is not None:
            self.release_pilot(found_home=True)

    # --- the answer ---

    def interim(self, head: ResponseHead) -> None:
        if self.head.minor and not self._ended:
            self.client.write(head.lead + b"\r\n")

    def switched(self, head: ResponseHead, data: bytes) -> None:
        connection, pool = self._connection, self.pool
        if connection is None or pool is None:
            return
        self.release_pilot(found_home=True)
        pool.breaker.succeeded(monotonic())
        pool.counts.streamed(101)
        connection.deadline = inf
        self._answering = True
        self.client.write(b"%b%bX-Request-Id: %b\r\n\r\n" % (head.lead, headers.UPGRADE, self.ident))
        self.pipe = Pipe(self.client, connection)
        self.client.switch(self.pipe)
        if data:
            self.pipe.from_cell(data)
        if self.lane.draining:
            self.pipe.drain()
        if self.client.write_paused:
            self.client_busy(True)  # it was slow already, with the answers before this one

    def answered_whole(self, head: ResponseHead, body: bytes, now: float) -> None:
        pool, lane, client, tenant = self.pool, self.lane, self.client, self.tenant
        if pool is None or tenant is None:
            raise RuntimeError("answered before it was sent")
        self._connection = None
        status = head.status
        if not self._plain or status in CAREFUL or head.events or self.pilot:
            self._answered_with_care(head, body, now)
            return
        # The usual case, spelled out.
        self._ended = True
        pool.tally(status, now - self.started, now)
        bucket = tenant.bucket
        about = tenant.policy + bucket.told(now) if bucket is not None else b""
        if lane.leaving:
            self._keep_alive = False
            about += CLOSE
        lane.logged_after -= 1
        if not lane.logged_after:
            lane.access(self, pool, status, now)
        dated = b"" if head.dated else date_line()
        parts = (head.lead, dated, b"X-Request-Id: ", self.ident, b"\r\n", head.usual_line, about, b"\r\n", body)
        if self._keep_alive:
            client.answer(b"".join(parts))
        else:
            client.write(b"".join(parts))
            client.answered(keep_alive=False)

    def _answered_with_care(self, head: ResponseHead, body: bytes, now: float) -> None:
        pool = self.pool
        if pool is None:
            return
        self.release_pilot(found_home=True)
        self._count(pool, head, now)
        self._keep_alive = self._goes_on(head, head.framing)
        self._answering = True
        self.client.write_soon(self._answer_bytes(head, head.framing, now) + body)
        self._end()

    def answered(self, head: ResponseHead, framing: Framing | None, body: bytes) -> None:
        connection, pool, client = self._connection, self.pool, self.client
        if connection is None or pool is None:
            return
        if head.status == 421:
            pool.breaker.succeeded(monotonic())  # it answers, if not for this tenant
            epochs = head.named.get(b"cellway-epoch", ())
            if len(epochs) == 1 and epochs[0].isdigit() and int(epochs[0][:18]) > self.tried_epoch:
                self.moving = self.undecided = True  # the cell knows of a later decision than this router
            self.failed(Unreached(Outcome.NOT_OURS))
            return
        now = monotonic()
        self.release_pilot(found_home=True)
        self._count(pool, head, now)
        chunked = self._chunked = (framing is None or framing.chunked) and self.head.minor == 1
        self._keep_alive = self._goes_on(head, framing)
        out = self._answer_bytes(head, framing, now)
        if body:
            out += framed(body) if chunked else body
        self._answering = True
        if connection.complete:
            if chunked:
                out += last_chunk(connection.trailers)
            self._connection = None
            pool.give_back(connection, now)
            client.write(out)
            self._end()
            return
        connection.deadline = now + self.lane.response_idle_seconds
        if self._events:
            self._between_events = not body or body.endswith(EVENT_ENDS)
            self.lane.streams.add(self)
            metrics.STREAMS.inc()
        client.write(out)
        if client.write_paused:
            self.client_busy(True)  # it was slow already, with the answers before this one

    def _answer_bytes(self, head: ResponseHead, framing: Framing | None, now: float) -> bytes:
        """The head that the client gets."""
        line = headers.shown_framing(
            self.head.method, head.status, framing, head.length_line, chunked=self._chunked
        )
        # A stranger is not told that there is such a tenant, with a limit.
        limits = self._limits(now) if head.status != 401 else b""
        about = limits + headers.connection_line(self.head.minor, keep_alive=self._keep_alive)
        dated = b"" if head.dated else date_line()
        return b"%b%bX-Request-Id: %b\r\n%b%b\r\n" % (head.lead, dated, self.ident, line, about)

    def _count(self, pool: Pool, head: ResponseHead, now: float) -> None:
        status = head.status
        if status in CELL_FAULTS:
            pool.breaker.failed(self.found.tenant, now)
        else:
            pool.breaker.succeeded(now)
        if status == 401 and self.tenant is not None and self.tenant.bucket is not None:
            self.tenant.bucket.put_back()  # whoever has no key of the tenant's uses nothing up
        self._events = head.events
        if head.events or strict.may_wait(self.head):
            pool.counts.streamed(status)  # how long it takes is the client's wish
        else:
            pool.counts.answered(status, now - self.started)
            if self.body is None or self.body.replayable:
                pool.sample(now - self._sent_at)
        self.lane.logged_after -= 1
        if not self.lane.logged_after:
            self.lane.access(self, pool, status, now)

    def _goes_on(self, head: ResponseHead, framing: Framing | None) -> bool:
        """Whether the client's connection can carry another request after this answer."""
        body = self.body
        if body is not None:
            if not body.complete:
                return False  # the answer came before the body's end: who knows what follows
            if head.status == 401 and not body.replayable:
                return False  # as for a tenant that does not exist, whose large body nobody reads
        if not self.head.minor and (framing is None or framing.chunked):
            return False  # HTTP/1.0: the body ends with the connection
        return self._keep_alive and not self.lane.leaving and not strict.asks_upgrade(self.head)

    def piece(self, data: bytes) -> None:
        connection = self._connection
        if self.pipe is not None:
            self.pipe.from_cell(data, draining=self.lane.draining)
        elif connection is not None:
            connection.deadline = self.lane.now + self.lane.response_idle_seconds
            self.client.write(framed(data) if self._chunked else data)
            if self._events:
                self._between_events = data.endswith(EVENT_ENDS)
                if self.lane.draining:
                    self.drain()

    def ended(self) -> None:
        connection, pool = self._connection, self.pool
        if self.pipe is not None:
            self.pipe.cell_gone()
        if connection is None or pool is None:
            return
        trailers = connection.trailers
        self._let_go()
        if self.pipe is None:
            if self._chunked:
                self.client.write(last_chunk(trailers))
            self._end()

    def failed(self, error: RouterError) -> None:
        pool = self.pool
        if self._sent_body and self.body is None:
            self.body = RequestBody.whole(strict.request_framing(self.head), self._sent_body)
        self._let_go()
        self._failed(pool, error)

    def cell_busy(self, busy: bool) -> None:
        if self.pipe is not None or self.reading:
            self.client.hold(busy)
        if self._connection is not None and self.reading:
            self._connection.deadline = self.lane.now + self.lane.response_seconds if busy else inf

    def client_busy(self, busy: bool) -> None:
        """Whether the client takes what it is sent more slowly than it comes."""
        if self._connection is not None and self._answering:
            self._connection.pause(busy)
            self._connection.deadline = (
                inf if busy or self.pipe else self.lane.now + self.lane.response_idle_seconds
            )

    def _failed(self, pool: Pool | None, error: RouterError) -> None:
        """An attempt brought nothing to pass on: decide what becomes of it."""
        if self._ended:
            return
        if self._answering or not isinstance(error, Unreached):
            self.cut("cell", error)
            return
        outcome, now = error.outcome, monotonic()
        # Who is refused a connection was not let through yet: it tries the cell, unless another does just now.
        unheard = outcome is Outcome.REFUSED and pool is not None and not self._may_try(pool, now)
        if pool is not None and outcome in FAULTS and not unheard:
            pool.breaker.failed(self.found.tenant, now)
        action = decide(outcome, self._facts())
        if outcome is not Outcome.NOT_OURS or isinstance(action, GiveUp):
            self.release_pilot(found_home=outcome is not Outcome.NOT_OURS)
        if isinstance(action, GiveUp) or pool is None:
            self._give_up(outcome, action, pool)
            return
        # Who joins those that wait for the tenant's pilot sends nothing before that one was answered.
        joins = outcome is Outcome.NOT_OURS and not self.pilot and self.found.tenant in self.lane.held
        if not (self.moving or joins or pool.budget.take(now)):
            metrics.NO_BUDGET.labels(pool.cell_id).inc()
            self.release_pilot()
            self._give_up(outcome, decide(outcome, self._facts(last=True)), pool)
            return
        metrics.SECOND_ATTEMPTS.labels(pool.cell_id, outcome.name.lower()).inc()
        if isinstance(action, Refresh):
            # At once: the next answer that is read now may be another 421.
            self.pilot = self.pilot or self.lane.holds.begin(self.found.tenant)
            self.later(waits.healed)
        else:
            self.stale_attempts += 1
            self.later(functools.partial(waits.connected, pool=pool, fresh=True))

    def _give_up(self, outcome: Outcome, action: object, pool: Pool | None) -> None:
        if not isinstance(action, GiveUp):
            raise TypeError(f"{outcome} was to end with {action}")
        wait_seconds = pool.breaker.retry_after_seconds(monotonic()) if pool is not None else 0.0
        log.debug("gave_up", tenant=self.found.tenant.decode(), outcome=outcome.name.lower())
        home = pool if pool is not None or self.tenant is None else self.tenant.pool
        if home is not None and not self._answering:
            metrics.GIVEN_UP.labels(home.cell_id, outcome.name.lower()).inc()
        error = gave_up(outcome, action, wait_seconds)
        self.refuse(error, error.code.lower())

    def _facts(self, *, last: bool = False) -> Attempt:
        body = self.body
        waited_out = 0 < self.held_until <= asyncio.get_running_loop().time()
        moving = self.moving and not waited_out
        return Attempt(
            method=self.head.method,
            has_body=body is not None,
            replayable=body is None or body.replayable,
            has_idempotency_key=b"idempotency-key" in self.head.named,
            number=2 if last else 1 if moving else max(1, self.attempts - self.stale_attempts),
        )

    def refuse(self, error: ApiError, reason: str, *, close: bool = False) -> None:
        """Tell the client what is wrong; `reason` is for the metrics."""
        self._refuse(prepared(error), reason, close=close)

    def _refuse_over_rate(self, tenant: Tenant, bucket: Bucket, wait_seconds: float, now: float) -> None:
        left = b"RateLimit: %b\r\n" % limit_header(bucket.remaining(now), wait_seconds)
        self._refuse(wait_longer(retry_after(wait_seconds)), "rate", about=tenant.policy + left)

    def _refuse(self, answer: Prepared, reason: str, *, close: bool = False, about: bytes = b"") -> None:
        """`about`: further header lines."""
        error = answer.error
        if self._ended:
            return
        if self._answering:
            self.cut("refused_late", error)
            return
        # A body that nobody read would be taken for the next request. And a large one that came all the same says
        # no more than one that did not: a stranger's connection ends as it does where the tenant exists.
        body = self.body
        read = body is None or (body.complete and not (error.status == 401 and body.large))
        self._keep_alive = (
            self._keep_alive and read and not (close or self.lane.leaving or strict.asks_upgrade(self.head))
        )
        data = answer_bytes(
            answer,
            self.head.minor,
            keep_alive=self._keep_alive,
            ident=self.ident,
            empty=self.head.method == b"HEAD",
            about=about,
        )
        metrics.REFUSALS.labels(str(error.status), reason).inc()
        self.client.write(data)
        self._end()

    def _limits(self, now: float) -> bytes:
        """What the tenant is told of its limit."""
        tenant = self.tenant
        if tenant is None or tenant.bucket is None:
            return b""
        return tenant.policy + tenant.bucket.told(now)

    def fault(self) -> None:
        """Something went wrong here, not with the request."""
        self._let_go()
        self.release_pilot()
        self.refuse(broken_off(), "internal", close=True)

    def cut(self, cause: str, error: Exception | None) -> None:
        """End the connection so that what the client has cannot look whole."""
        metrics.ABORTS.labels(cause).inc()
        log.debug("transfer_cut", cause=cause, error=repr(error))
        self.client.cut_off()

    def drain(self) -> None:
        """End a stream of events between two of them: its client comes back, to another router."""
        if self._events and self._answering and self._between_events and not self._ended:
            self._keep_alive = False
            self._let_go()
            if self._chunked:
                self.client.write(last_chunk())
            self._end()

    def abandon(self) -> None:
        """The client is gone: nothing is asked of anybody any more."""
        if not self._ended:
            self._ended = True
            if self._task is not None:
                self._task.cancel()
            if self.pipe is not None and self._connection is not None:
                self._connection.leave()
            self._let_go()
            self.release_pilot()
            self._unlist()

    def _let_go(self) -> None:
        """Return the connection; while anything is under way on it, that closes it."""
        connection, self._connection = self._connection, None
        if connection is not None and self.pool is not None:
            if not connection.complete:
                connection.abort()
            self.pool.give_back(connection, monotonic())

    def _end(self) -> None:
        self._ended = True
        self.release_pilot()
        self._unlist()
        self.client.answered(keep_alive=self._keep_alive)

    def _unlist(self) -> None:
        if self in self.lane.streams:
            self.lane.streams.discard(self)
            metrics.STREAMS.dec()
