"""The only place that builds things."""

from collections.abc import Sequence
from dataclasses import dataclass

from directory.announcing import announcement
from directory.leading import Candidate
from directory.publisher import Publisher
from placement import leader, metrics, readiness
from placement.access import Access
from placement.api import front
from placement.api.audit import AuditHandlers
from placement.api.cells import CellHandlers
from placement.api.checks import CheckHandlers
from placement.api.customers import Customers
from placement.api.forecasts import ForecastHandlers
from placement.api.instances import InstanceHandlers
from placement.api.jobs import Jobs
from placement.api.keys import Keys
from placement.api.leaders import LeaderHandlers
from placement.api.loads import LoadHandlers
from placement.api.moves import MoveHandlers
from placement.api.orchestrations import Orchestrations
from placement.api.placements import PlacementHandlers
from placement.api.plans import PlanHandlers
from placement.api.previews import Previews
from placement.api.reservations import ReservationHandlers
from placement.api.tenants import Tenants
from placement.auditing import Audit
from placement.background import QUICK, Background
from placement.carrying import Carrier
from placement.cells import Cells
from placement.checks import witnesses as seen
from placement.checks.doctor import Doctor
from placement.choosing import Chooser
from placement.creation import Creation
from placement.decisions import Decisions
from placement.demands import FRESH_SECONDS, Demands
from placement.forecasts import Forecasts, GatheredLoads
from placement.measuring import Measuring
from placement.planning.automatic import Automatic, Limits
from placement.planning.conducting import Conductor
from placement.planning.making import Maker
from placement.planning.wishes import Wishes
from placement.pointing import Pointing
from placement.reach import Reach
from placement.readiness import Readiness
from placement.reconciler import Reconciler
from placement.recoveries import Recoveries
from placement.rooms import Rooms
from placement.rules.pacing import hours_of
from placement.seeds import Seeds
from placement.settings import PlacementSettings
from placement.stores import Stores, open_stores
from placement.surveying import Survey
from placement.witnesses import Witnesses
from runtime import admin
from runtime.api.endpoint import Endpoint
from runtime.api.pages import PageTokens
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
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Works:
    """Who does the work; each is built once."""

    ready: Readiness
    candidate: Candidate
    witnesses: Witnesses
    publisher: Publisher
    reconciler: Reconciler
    rooms: Rooms
    chooser: Chooser
    cells: Cells
    seeds: Seeds
    creation: Creation
    decisions: Decisions
    measuring: Measuring
    maker: Maker
    conductor: Conductor
    forecasts: Forecasts
    audit: Audit


async def build(settings: PlacementSettings) -> Lifecycle:
    """For `runtime.program`."""
    return (await assemble(settings)).lifecycle


async def assemble(settings: PlacementSettings) -> Program:
    """Everything, in the order of its start."""
    stores = await open_stores(settings)
    works = _works(settings, stores)
    background = _background(settings, stores, works)
    health = _health(stores, works)
    site = Site(
        "placement",
        front.application(
            _endpoints(settings, stores, works), Access(settings.operator_tokens), works.ready, works.audit
        ),
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
    lifecycle.add(Part("witnesses", stop=works.witnesses.close))
    lifecycle.add(admin_site.part())
    lifecycle.add(Part("plans", stop=works.conductor.close))
    lifecycle.add(Part("background", background.start, stop=background.stop, start_deadline_seconds=START_SECONDS))
    lifecycle.add(site.part())
    lifecycle.add(announcement(stores.registry, "placement", site, admin_site, health=health))
    return Program(lifecycle, site, admin_site, works.candidate)


def _works(settings: PlacementSettings, stores: Stores) -> Works:
    directory, control = stores.directory, stores.control
    reach, demands = Reach(), Demands(stores.loads, fresh_seconds=min(FRESH_SECONDS, settings.load_seconds))
    candidate = leader.candidate(stores.leadership, stores.terms)
    carrier = Carrier(directory, control, reach)
    publisher = Publisher(directory, stores.feed)
    metrics.PUBLISHED.set_function(lambda: publisher.position.seq if publisher.position is not None else 0)
    audit, seeds = Audit(stores.entries), Seeds(settings.control_key)
    rooms = Rooms(stores.reservations, demands, reach)
    chooser = Chooser(stores.reservations, rooms)
    maker = Maker(
        *(directory, stores.reservations, stores.moves, demands), silent=lambda: frozenset(reach.silent())
    )
    foreseen = GatheredLoads(directory, stores.reservations, stores.moves, demands)
    return Works(
        ready=Readiness(settings.directory_owner_dsn, directory, settings.schema_phases),
        candidate=candidate,
        witnesses=Witnesses(stores.registry, reach),
        publisher=publisher,
        reconciler=Reconciler(directory, carrier),
        rooms=rooms,
        chooser=chooser,
        cells=Cells(directory, control, reach, rooms, audit, stores.certificates),
        seeds=seeds,
        creation=Creation(directory, carrier, chooser, seeds, publisher),
        decisions=Decisions(directory, carrier),
        measuring=Measuring(
            *(directory, stores.loads, control, settings.load_seconds), lambda: candidate.term is not None
        ),
        maker=maker,
        conductor=_conductor(settings, stores, maker, candidate, audit),
        forecasts=Forecasts(directory, stores.uses, candidate, settings.cell_lead_days, foreseen),
        audit=audit,
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
        reverse_seconds=settings.reverse_seconds,
    )
    automatic = Automatic(stores.plans, maker, limits, audit)
    drains = Wishes(reverse_seconds=settings.reverse_seconds)
    return Conductor(
        stores.directory, stores.moves, stores.plans, maker, candidate, automatic, audit, drains=drains
    )


def _background(settings: PlacementSettings, stores: Stores, works: Works) -> Background:
    background = Background(works.ready, works.candidate)
    background.keep("publish", works.publisher.step, QUICK)
    background.keep("reconcile", works.reconciler.step, QUICK)
    background.keep("open joining cells", works.cells.open_joining, QUICK)
    background.keep("look at cells", works.cells.look_around)
    background.keep("count loads", works.rooms.step)
    background.keep("forget reservations", works.rooms.forget)
    background.keep("measure load", works.measuring.step)
    background.keep("carry plans out", works.conductor.step)
    background.keep("forecast", works.forecasts.step)
    background.keep("forget decisions", lambda: works.audit.forget(settings.keep_audit_days * 86_400))
    background.keep("see cells", works.witnesses.cells.step, needs_directory=False)
    background.keep("see routers", works.witnesses.routers.step, needs_directory=False)
    background.keep("point", Pointing(works.publisher, stores.pointer).step, needs_directory=False)
    if stores.certificates is not None:
        background.keep("renew certificates", stores.certificates.calling.step, needs_directory=False)
    return background


def _endpoints(settings: PlacementSettings, stores: Stores, works: Works) -> Sequence[Endpoint[None]]:
    directory, control, moves = stores.directory, stores.control, stores.moves
    decisions, chooser, witnesses = works.decisions, works.chooser, works.witnesses
    led, survey = (stores.leadership, stores.terms), Survey(directory, moves, control)
    recoveries = Recoveries(directory, moves, witnesses)
    tokens = PageTokens(settings.page_key.get_secret_value().encode())
    return [
        *Tenants(directory, works.creation, decisions, tokens).endpoints(),
        *Customers(directory, control, decisions).endpoints(),
        *Keys(directory, control, decisions, works.seeds).endpoints(),
        *Orchestrations(directory, control, tokens).endpoints(),
        *Jobs(directory, control, tokens).endpoints(),
        *PlacementHandlers(chooser).endpoints(),
        *ReservationHandlers(stores.reservations, chooser, tokens).endpoints(),
        *MoveHandlers(moves, survey, tokens).endpoints(),
        *Previews(moves, survey).endpoints(),
        *PlanHandlers(directory, stores.plans, works.maker, tokens).endpoints(),
        *CellHandlers(directory, works.cells, witnesses, recoveries, tokens).endpoints(),
        *LoadHandlers(directory, stores.loads).endpoints(),
        *InstanceHandlers(stores.registry).endpoints(),
        *ForecastHandlers(works.forecasts).endpoints(),
        *LeaderHandlers(stores.leadership, stores.terms).endpoints(),
        *AuditHandlers(stores.entries, tokens).endpoints(),
        *CheckHandlers(Doctor(directory, stores.feed, control, led, witnesses, chooser)).endpoints(),
    ]


def _health(stores: Stores, works: Works) -> Health:
    health = Health()
    health.add("directory", works.ready.check)
    health.add("directory redis", lambda: readiness.redis_check(stores.feed), required=False)
    health.add("leader", lambda: leader.check(works.candidate, stores.terms), required=False)
    health.add("cells", lambda: seen.check(stores.directory, works.witnesses), required=False)
    if stores.certificates is not None:
        health.add("certificates", stores.certificates.calling.check, required=False)
    return health
