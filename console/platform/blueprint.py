"""Which parts make a platform of N cells, and what each of them is told.

directory redis ─┬─▶ placement             cell-N redis ─┬─▶ cell-N api
                 └─▶ router                              └─▶ cell-N worker ◀── cell-N postgres

Redis is there at once. Postgres needs some seconds the first time, and programs as long to import what they use;
so those that prepare a schema do not wait for it here, but themselves, as they must anyway.
"""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from console.platform.layout import OPERATOR_TOKEN, Layout
from console.platform.parts import HOST, Part, Program, ProgramPart, ServerPart
from console.platform.settings import UpSettings
from directory.control.token import control_token
from directory.fence import MOVER_ROLES
from runtime import database
from runtime.embedded.postgres import PostgresServer, Template
from runtime.embedded.redis import RedisServer

CONTROL_POSTGRES = "control postgres"
DIRECTORY_REDIS = "directory redis"
PLACEMENT = "placement"
ROUTER = "router"
MOVER = "mover"

DIRECTORY_ROLES = ("directory_owner", "directory_writer", "directory_mover")
CELL_ROLES = ("cell_owner", "cell_app", "cell_control", "cell_relay", "cell_mover")

SUPERUSER = "postgres superuser"
"""One for all embedded servers, because they are copies of one cluster; only the supervisor knows it."""
_SHARED_SECRETS = (OPERATOR_TOKEN, "control_key", "page_key", "key_pepper", SUPERUSER)


@dataclass(frozen=True, slots=True)
class Commands:
    """How the programs are run; tests put stand-ins here."""

    placement: tuple[str, ...] = (sys.executable, "-m", "placement")
    router: tuple[str, ...] = (sys.executable, "-m", "router")
    cell: tuple[str, ...] = (sys.executable, "-m", "cell")
    worker: tuple[str, ...] = (sys.executable, "-m", "cell.worker")
    mover: tuple[str, ...] = (sys.executable, "-m", "migration")


def secret_names(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Every secret that a platform with these cells has."""
    control = (DIRECTORY_REDIS, *DIRECTORY_ROLES)
    of_cells = (f"{cell} {name}" for cell in cells for name in ("redis", *CELL_ROLES))
    return (*_SHARED_SECRETS, *control, *of_cells)


def public_ports(settings: UpSettings) -> dict[str, int]:
    """The ports that people know, by part; 0 is chosen by us."""
    return {
        PLACEMENT: settings.placement_port,
        ROUTER: settings.router_port,
        f"{ROUTER} admin": settings.router_admin_port,
    }


def port_names(cells: tuple[str, ...]) -> tuple[str, ...]:
    """Every port that a platform with these cells listens on."""
    programs = (PLACEMENT, f"{PLACEMENT} admin", ROUTER, f"{ROUTER} admin", f"{MOVER} admin")
    control = (CONTROL_POSTGRES, DIRECTORY_REDIS, *programs)
    of_cell = ("postgres", "redis", "api", "api admin", "worker admin")
    return (*control, *(f"{cell} {name}" for cell in cells for name in of_cell))


class Blueprint:
    """Builds the parts. `ports` and `secrets` are by the names above."""

    def __init__(
        self,
        layout: Layout,
        settings: UpSettings,
        ports: Mapping[str, int],
        secrets: Mapping[str, str],
        commands: Commands,
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._ports = ports
        self._secrets = secrets
        self._commands = commands
        self._template = Template(layout.template)

    def parts(self, cells: tuple[str, ...]) -> list[Part]:
        """All parts, in the order in which people read them."""
        of_cells = [part for cell_id in cells for part in self._cell(cell_id)]
        return [*self._control(), self._placement(), self._router(), self._mover(cells), *of_cells]

    def directory_dsn(self, role: str) -> str:
        """The directory's database, for a role; of one's own server, with its parameters (TLS and the like)."""
        if self._settings.control_postgres is None:
            return self._dsn(CONTROL_POSTGRES, "directory", role, role)
        own = urlsplit(self._settings.control_postgres.get_secret_value())
        host = own.netloc.rpartition("@")[2]
        return own._replace(netloc=f"{role}:{self._secrets[role]}@{host}", path="/directory").geturl()

    def directory_redis_url(self) -> str:
        """The directory's Redis."""
        own = self._settings.directory_redis
        return own.get_secret_value() if own else self._redis_url(DIRECTORY_REDIS)

    async def prepare_directory(self) -> None:
        """Create the directory's roles and database, in our Postgres or in one's own."""
        own = self._settings.control_postgres
        admin = own.get_secret_value() if own else self._dsn(CONTROL_POSTGRES, "postgres", "postgres", SUPERUSER)
        roles = {role: self._secrets[role] for role in DIRECTORY_ROLES}
        await database.bootstrap(admin, database="directory", owner="directory_owner", roles=roles)

    def _control(self) -> list[Part]:
        folder = self._layout.control
        parts: list[Part] = []
        if self._settings.control_postgres is None:
            server = self._postgres(CONTROL_POSTGRES, folder)
            parts.append(ServerPart(CONTROL_POSTGRES, server, self.prepare_directory))
        if self._settings.directory_redis is None:
            parts.append(ServerPart(DIRECTORY_REDIS, self._redis(DIRECTORY_REDIS, folder)))
        return parts

    def _placement(self) -> Part:
        environment = {
            "DIRECTORY_DSN": self.directory_dsn("directory_writer"),
            "DIRECTORY_OWNER_DSN": self.directory_dsn("directory_owner"),
            "DIRECTORY_REDIS_URL": self.directory_redis_url(),
            "OPERATOR_TOKENS": f"admin:local:{self._secrets[OPERATOR_TOKEN]}",
            "CONTROL_KEY": self._secrets["control_key"],
            "PAGE_KEY": self._secrets["page_key"],
        }
        if self._settings.tls:
            environment["CELL_TLS_FOLDER"] = str(self._layout.certificates / PLACEMENT)
        return self._program(
            PLACEMENT, self._commands.placement, "CELLWAY_PLACEMENT_", environment, needs=self._embedded_redis()
        )

    def _router(self) -> Part:
        environment = {
            "DIRECTORY_REDIS_URL": self.directory_redis_url(),
            "SNAPSHOT_PATH": str(self._layout.snapshot),
        }
        if self._settings.tls:
            environment["CELL_TLS_FOLDER"] = str(self._layout.certificates / ROUTER)
        # It stops first, so that no client sees the cells behind it go.
        return self._program(
            *(ROUTER, self._commands.router, "CELLWAY_ROUTER_", environment), needs=self._embedded_redis(), rank=2
        )

    def _mover(self, cells: tuple[str, ...]) -> Part:
        dsns = {cell: self._dsn(f"{cell} postgres", "cell", "cell_mover", f"{cell} cell_mover") for cell in cells}
        environment = {
            "DIRECTORY_DSN": self.directory_dsn("directory_mover"),
            "DIRECTORY_REDIS_URL": self.directory_redis_url(),
            "CELLS_PATH": str(self._layout.tell_mover(dsns)),
            "LOOK_SECONDS": "0.2",
            # Here moves share their processors with all that they are to spare.
            "MOVES": os.environ.get("CELLWAY_MIGRATION_MOVES", str(max(2, os.cpu_count() or 1))),
        }
        return self._program(MOVER, self._commands.mover, "CELLWAY_MIGRATION_", environment, needs=())

    def _embedded_redis(self) -> tuple[str, ...]:
        return () if self._settings.directory_redis else (DIRECTORY_REDIS,)

    def _cell(self, cell_id: str) -> list[Part]:
        folder = self._layout.cell(cell_id)
        postgres, redis = f"{cell_id} postgres", f"{cell_id} redis"
        environment = self._cell_environment(cell_id)
        return [
            ServerPart(postgres, self._postgres(postgres, folder), self._cell_preparation(cell_id)),
            ServerPart(redis, self._redis(redis, folder)),
            *(
                self._program(
                    f"{cell_id} {name}",
                    command,
                    "CELLWAY_CELL_",
                    environment,
                    needs=needs,
                    secure=self._settings.tls,
                )
                for name, command, needs in (
                    ("api", self._commands.cell, (redis,)),
                    ("worker", self._commands.worker, (redis, postgres)),
                )
            ),
        ]

    def _cell_environment(self, cell_id: str) -> dict[str, str]:
        def dsn(role: str) -> str:
            return self._dsn(f"{cell_id} postgres", "cell", role, f"{cell_id} {role}")

        secure = {"TLS_FOLDER": str(self._layout.certificates / cell_id)} if self._settings.tls else {}
        return {
            **secure,
            "CELL_ID": cell_id,
            "REGION": self._settings.region,
            "OWNER_DSN": dsn("cell_owner"),
            "APP_DSN": dsn("cell_app"),
            "CONTROL_DSN": dsn("cell_control"),
            "RELAY_DSN": dsn("cell_relay"),
            "REDIS_URL": self._redis_url(f"{cell_id} redis"),
            "CONTROL_TOKEN": control_token(self._secrets["control_key"], cell_id),
            "KEY_PEPPER": self._secrets["key_pepper"],
            "PAGE_KEY": self._secrets["page_key"],
        }

    def _cell_preparation(self, cell_id: str) -> Callable[[], Awaitable[None]]:
        async def prepare() -> None:
            name = f"{cell_id} postgres"
            roles = {role: self._secrets[f"{cell_id} {role}"] for role in CELL_ROLES}
            admin = self._dsn(name, "postgres", "postgres", SUPERUSER)
            await database.bootstrap(
                admin, database="cell", owner="cell_owner", roles=roles, replicating=MOVER_ROLES
            )

        return prepare

    def _program(
        self,
        name: str,
        command: tuple[str, ...],
        prefix: str,
        environment: Mapping[str, str],
        *,
        needs: tuple[str, ...],
        rank: int = 1,
        secure: bool = False,
    ) -> Part:
        port, admin_port = self._ports.get(name), self._ports[f"{name} admin"]
        own = {"HOST": HOST, "ADMIN_PORT": str(admin_port), **environment}
        if port is not None:
            own["PORT"] = str(port)
        if self._settings.consul is not None:
            own["CONSUL_URL"] = self._settings.consul
            if self._settings.consul_token is not None:
                own["CONSUL_TOKEN"] = self._settings.consul_token.get_secret_value()
        told = {prefix + key: value for key, value in own.items()}
        authority = self._layout.authority if secure else None
        program = Program(name, command, told, port, admin_port, needs, rank, authority=authority)
        return ProgramPart(program, self._layout.log(name), self._layout.record(name))

    def _postgres(self, name: str, folder: Path) -> PostgresServer:
        return PostgresServer(
            folder / "postgres",
            self._secrets[SUPERUSER],
            self._layout.log(name),
            port=self._ports[name],
            template=self._template,
        )

    def _redis(self, name: str, folder: Path) -> RedisServer:
        return RedisServer(folder / "redis", self._secrets[name], self._layout.log(name), port=self._ports[name])

    def _address(self, name: str) -> str:
        return f"{HOST}:{self._ports[name]}"

    def _dsn(self, server: str, base: str, role: str, secret: str) -> str:
        return f"postgresql://{role}:{self._secrets[secret]}@{self._address(server)}/{base}"

    def _redis_url(self, name: str) -> str:
        return f"redis://:{self._secrets[name]}@{self._address(name)}/0"
