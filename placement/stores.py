"""What leaves the process: the directory's stores, and who else is asked."""

from dataclasses import dataclass

from directory.announcing import open_pointer, open_registry
from directory.control.client import CellControl, Certificates
from directory.leadership import Leadership, Terms
from directory.leading import open_leadership
from directory.pointer import Pointer
from directory.postgres import PostgresDirectory
from directory.postgres_audit import PostgresAudit
from directory.postgres_leadership import PostgresTerms
from directory.postgres_loads import PostgresLoads
from directory.postgres_moves import PostgresMoves
from directory.postgres_plans import PostgresPlans
from directory.postgres_reservations import PostgresReservations
from directory.postgres_uses import PostgresUses
from directory.redis_feed import RedisFeed
from directory.registry import Registry
from placement.settings import PlacementSettings
from runtime import database
from runtime.database import Pool
from runtime.tls.calling import Calling


@dataclass(frozen=True, slots=True)
class Stores:
    """Nothing is connected to before it is used."""

    pool: Pool
    directory: PostgresDirectory
    moves: PostgresMoves
    reservations: PostgresReservations
    uses: PostgresUses
    loads: PostgresLoads
    plans: PostgresPlans
    entries: PostgresAudit
    feed: RedisFeed
    control: CellControl
    certificates: Certificates | None
    registry: Registry
    leadership: Leadership
    terms: Terms
    pointer: Pointer

    async def close(self) -> None:
        """Close all connections."""
        await self.leadership.close()
        await self.pointer.close()
        await self.registry.close()  # once more: whoever follows it may have asked since the announcement ended
        await self.directory.close()
        await self.control.close()
        await self.feed.close()
        # What still ran was idempotent and recorded, so nothing is waited for.
        self.pool.terminate()


def certificates_of(settings: PlacementSettings) -> Certificates | None:
    """By which cells and placement know each other; None: by the control token alone. StartFailed."""
    if not settings.cell_tls_folder:
        return None
    calling = Calling(settings.cell_tls_folder, f"{settings.env_prefix}CELL_TLS_FOLDER")
    return Certificates(calling, settings.cell_tls_only)


async def open_stores(settings: PlacementSettings) -> Stores:
    """All of them. StartFailed."""
    certificates = certificates_of(settings)
    pool = await database.open_pool(settings.directory_dsn, name="cellway-placement")
    redis_url, consul = settings.directory_redis_url, (settings.consul_url, settings.consul_token)
    return Stores(
        pool=pool,
        directory=PostgresDirectory(pool),
        moves=PostgresMoves(pool),
        reservations=PostgresReservations(pool),
        uses=PostgresUses(pool),
        loads=PostgresLoads(pool),
        plans=PostgresPlans(pool),
        entries=PostgresAudit(pool),
        feed=RedisFeed(redis_url),
        control=CellControl(settings.control_key.get_secret_value(), certificates),
        certificates=certificates,
        registry=open_registry(redis_url, *consul),
        leadership=open_leadership(pool, *consul, settings.leader_seconds),
        terms=PostgresTerms(pool),
        pointer=open_pointer(redis_url, *consul),
    )
