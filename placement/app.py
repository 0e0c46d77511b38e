"""The only place that builds things."""

from collections.abc import Sequence
from dataclasses import dataclass

from directory.announcing import announcement, open_pointer, open_registry
from directory.control.client import CellControl
from directory.leadership import Leadership, Terms
from directory.leading import Candidate, open_leadership
from directory.pointer import Pointer
from directory.postgres import PostgresDirectory
from directory.postgres_audit import PostgresAudit
from directory.postgres_leadership import PostgresTerms
from directory.postgres_loads import PostgresLoads
from directory.postgres_moves import PostgresMoves
from directory.postgres_plans import PostgresPlans
from directory.publisher import Publisher
from directory.redis_feed import RedisFeed
from directory.registry import Registry
from placement import leader, readiness
from placement.access import Access
from placement.api import front
from placement.api.audit import AuditHandlers
from placement.api.cells import CellHandlers
from placement.api.checks import CheckHandlers
from placement.api.customers import Customers
from placement.api.instances import InstanceHandlers
from placement.api.jobs import Jobs
from placement.api.keys import Keys
from placement.api.leaders import LeaderHandlers
from placement.api.loads import LoadHandlers
from placement.api.moves import MoveHandlers
from placement.api.orchestrations import Orchestrations
from placement.api.plans import PlanHandlers
from placement.api.previews import Previews
from placement.api.tenants import Tenants
from placement.auditing import Audit
from placement.background import Background
from placement.carrying import Carrier
from placement.cells import Cells
from placement.checks import witnesses as seen
from placement.checks.doctor import Doctor
from placement.creation import Creation
from placement.decisions import Decisions
from placement.demands import Demands
from placement.measuring import Measuring
from placement.planning.automatic import Automatic, Limits
from placement.planning.conducting import Conductor
from placement.planning.making import Maker
from placement.reach import Reach
from placement.readiness import Readiness
from placement.reconciler import Reconciler
from placement.recoveries import Recoveries
from placement.rules.pacing import hours_of
from placement.seeds import Seeds
from placement.settings import PlacementSettings
from placement.surveying import Survey
from placement.witnesses import Witnesses
from runtime import admin, database
from runtime.api.endpoint import Endpoint
from runtime.api.pages import PageTokens
from runtime.database import Pool
from runtime.health import Health
from runtime.lifecycle import Lifecycle, Part
from runtime.site import Site

START_SECONDS = readiness.UPGRADE_SECONDS + 10.0


@dataclass(frozen=True, slots=True)
class Program:
    """A whole placement, and where it listens once it has started."""

    lifecycle: Lifecycle
    site: Site
    admin_site: Site


@dataclass(frozen=True, slots=True)
class Stores:
    """What leaves the process. Nothing is connected to before it is used."""

    pool: Pool
    directory: PostgresDirectory
    moves: PostgresMoves
    loads: PostgresLoads
    plans: PostgresPlans
    entries: PostgresAudit
    feed: RedisFeed
    control: CellControl
    registry: Registry
    leadership: Leadership
    terms: Terms
    pointer: Pointer | None

    async def close(self) -> None:
        """Close all connections."""
        await self.leadership.close()
        if self.pointer is not None:
            await self.pointer.close()
        await self.registry.close()  # once more: whoever follows it may have asked since the announcement ended
        await self.directory.close()
        await self.control.close()
        await self.feed.close()
        # What still ran was idempotent and recorded, so nothing is waited for.
        self.pool.terminate()


async def build(settings: PlacementSettings) -> Lifecycle:
    """For `runtime.program`."""
    return (await assemble(settings)).lifecycle


async def assemble(settings: PlacementSettings) -> Program:
    """Everything, in the order of its start."""
    stores = await _stores(settings)
    ready = Readiness(settings.directory_owner_dsn, stores.directory, settings.schema_phases)
    reach = Reach()
    carrier = Carrier(stores.directory, stores.control, reach)
    audit = Audit(stores.entries)
    cells = Cells(stores.directory, stores.control, reach, audit)
    publisher, reconciler = Publisher(stores.directory, stores.feed), Reconciler(stores.directory, carrier)
    seeds = Seeds(settings.control_key)
    creation = Creation(stores.directory, carrier, reach, seeds, publisher)
    witnesses, candidate = Witnesses(stores.registry, reach), leader.candidate(stores.leadership, stores.terms)
    decisions = Decisions(stores.directory, carrier)
    measuring = Measuring(
        stores.directory,
        stores.loads,
        stores.control,
        settings.load_seconds,
        lambda: candidate.term is not None,
    )
    demands = Demands(stores.loads)
    maker = Maker(stores.directory, stores.moves, demands, silent=lambda: frozenset(reach.silent()))
    conductor = _conductor(settings, stores, maker, candidate, audit)
    endpoints = _endpoints(settings, stores, cells, creation, decisions, seeds, witnesses, maker)
    background = Background(ready, publisher, reconciler, cells, candidate, witnesses, stores.pointer, measuring)
    background.keep("carry plans out", conductor.step)
    background.keep("forget decisions", lambda: audit.forget(settings.keep_audit_days * 86_400))
    health = _health(ready, stores.feed)
    health.add("leader", lambda: leader.check(candidate, stores.terms), required=False)
    health.add("cells", lambda: seen.check(stores.directory, witnesses), required=False)
    site = Site(
        "placement",
        front.application(endpoints, Access(settings.operator_tokens), ready, audit),
        settings.host,
        settings.port,
        setting="CELLWAY_PLACEMENT_PORT",
        drain_seconds=settings.drain_seconds,
    )
    admin_site = Site(
        "placement admin",
        admin.application(health, settings),
        settings.host,
        settings.admin_port,
        setting="CELLWAY_PLACEMENT_ADMIN_PORT",
        drain_seconds=1.0,
    )
    lifecycle = Lifecycle(health, settings.drain_seconds)
    lifecycle.add(Part("stores", stop=stores.close))
    lifecycle.add(Part("witnesses", stop=witnesses.close))
    lifecycle.add(admin_site.part())
    lifecycle.add(Part("background", background.start, stop=background.stop, start_deadline_seconds=START_SECONDS))
    lifecycle.add(site.part())
    lifecycle.add(announcement(stores.registry, "placement", site, admin_site, health=health))
    return Program(lifecycle, site, admin_site)


async def _stores(settings: PlacementSettings) -> Stores:
    pool = await database.open_pool(settings.directory_dsn, name="cellway-placement")
    feed = RedisFeed(settings.directory_redis_url)
    control = CellControl(settings.control_key.get_secret_value())
    registry = open_registry(settings.directory_redis_url, settings.consul_url, settings.consul_token)
    leadership = open_leadership(pool, settings.consul_url, settings.consul_token, settings.leader_seconds)
    return Stores(
        *(pool, PostgresDirectory(pool), PostgresMoves(pool), PostgresLoads(pool), PostgresPlans(pool)),
        *(PostgresAudit(pool), feed, control, registry),
        *(leadership, PostgresTerms(pool)),
        None if settings.consul_url is None else open_pointer(settings.consul_url, settings.consul_token),
    )


def _conductor(
    settings: PlacementSettings, stores: Stores, maker: Maker, candidate: Candidate, audit: Audit
) -> Conductor:
    limits = Limits(
        on=settings.automatic,
        every_seconds=settings.automatic_seconds,
        moves=settings.automatic_moves_a_day,
        bytes=settings.automatic_bytes_a_day,
        quiet=hours_of(settings.automatic_quiet),
    )
    automatic = Automatic(stores.plans, maker, limits, audit)
    return Conductor(stores.directory, stores.moves, stores.plans, maker, candidate, automatic, audit)


def _endpoints(
    settings: PlacementSettings,
    stores: Stores,
    cells: Cells,
    creation: Creation,
    decisions: Decisions,
    seeds: Seeds,
    witnesses: Witnesses,
    maker: Maker,
) -> Sequence[Endpoint[None]]:
    directory, control = stores.directory, stores.control
    led = stores.leadership, stores.terms
    survey = Survey(directory, stores.moves, control)
    recoveries = Recoveries(directory, stores.moves, witnesses)
    tokens = PageTokens(settings.page_key.get_secret_value().encode())
    return [
        *Tenants(directory, creation, decisions, tokens).endpoints(),
        *Customers(directory, control, decisions).endpoints(),
        *Keys(directory, control, decisions, seeds).endpoints(),
        *Orchestrations(directory, control, tokens).endpoints(),
        *Jobs(directory, control, tokens).endpoints(),
        *MoveHandlers(stores.moves, survey, tokens).endpoints(),
        *Previews(stores.moves, survey).endpoints(),
        *PlanHandlers(directory, stores.plans, maker, tokens).endpoints(),
        *CellHandlers(directory, cells, witnesses, recoveries, tokens).endpoints(),
        *LoadHandlers(directory, stores.loads).endpoints(),
        *InstanceHandlers(stores.registry).endpoints(),
        *LeaderHandlers(stores.leadership, stores.terms).endpoints(),
        *AuditHandlers(stores.entries, tokens).endpoints(),
        *CheckHandlers(Doctor(directory, stores.feed, control, led, witnesses)).endpoints(),
    ]


def _health(ready: Readiness, feed: RedisFeed) -> Health:
    health = Health()
    health.add("directory", ready.check)
    health.add("directory redis", lambda: readiness.redis_check(feed), required=False)
    return health
