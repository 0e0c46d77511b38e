"""What the router can be told, by `CELLWAY_ROUTER_*`."""

import ipaddress
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from directory.rules.names import is_name
from router.rules.adoption import Caution
from router.rules.identify import Sources
from router.rules.silence import Patience
from router.rules.strict import TOKEN
from runtime.settings import CommaList, Port, Settings

Source = Literal["host", "path", "header", "key"]


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


SourceList = Annotated[tuple[Source, ...], BeforeValidator(_split)]


class RouterSettings(Settings):
    """See each field's description; deadlines are in seconds, sizes in bytes."""

    env_prefix: ClassVar[str] = "CELLWAY_ROUTER_"

    host: str = "127.0.0.1"
    port: Port = 8080
    admin_host: str = Field(default="", description="where the admin port listens; empty: HOST")
    admin_port: Port = Field(default=8082, description="metrics, health, the table; process i listens at this + i")
    directory_redis_url: SecretStr
    consul_url: str | None = Field(
        default=None, description="the registry of processes; none: the directory's Redis"
    )
    consul_token: SecretStr | None = Field(default=None, description="an ACL token that may register services")
    snapshot_path: str = Field(default="", description="where the table is kept for a restart; empty: nowhere")
    snapshot_every_seconds: float = Field(default=1.0, gt=0, description="the shortest time between two writings")

    domains: CommaList = Field(default=("api.localhost",), description="a tenant's host name is <tenant>.<domain>")
    identify: SourceList = Field(default=("host", "path", "header", "key"), min_length=1)
    tenant_header: str = "X-Tenant"
    require_api_key: bool = True
    trusted_proxies: CommaList = Field(default=(), description="networks whose X-Forwarded-* is believed")

    vanishing_share: float = Field(default=0.5, gt=0, le=1, description="a snapshot that loses more is refused")
    vanishing_floor: int = Field(default=20, ge=1, description="with fewer tenants any share may vanish")
    negative_seconds: float = Field(default=1.0, gt=0, description="how long an unknown tenant stays unknown")
    negative_entries: int = Field(default=10_000, ge=1)

    head_seconds: float = Field(default=10.0, gt=0, description="for a client's head, from its first byte")
    idle_seconds: float = Field(default=75.0, gt=0, description="for a connection between two requests")
    body_idle_seconds: float = Field(default=30.0, gt=0, description="between two pieces of a client's body")
    write_idle_seconds: float = Field(default=60.0, gt=0, description="for a client to take what it is sent")
    response_seconds: float = Field(default=60.0, gt=0, description="for a cell's head; long polls need some")
    response_idle_seconds: float = Field(default=300.0, gt=0, description="between two pieces of a cell's body")
    connect_seconds: float = Field(default=1.0, gt=0)
    cell_idle_seconds: float = Field(default=15.0, gt=0, description="keep it shorter than the cells' own")
    client_connections: int | None = Field(
        default=None,
        ge=1,
        description="of clients, to one process; at most, and by default, a third of the open files",
    )
    cell_connections: int = Field(default=1024, ge=1, description="to one cell, from one process")
    least_concurrency: int = Field(
        default=16, ge=1, description="requests that a cell is given at a time, however slow it gets"
    )
    tenant_connections: int | None = Field(
        default=None, ge=1, description="of them, for one tenant; none: a quarter of CELL_CONNECTIONS"
    )
    cell_waiting: int = Field(default=1024, ge=0, description="requests that may wait for one of them")
    cell_wait_seconds: float = Field(default=1.0, gt=0, description="how long they may wait")
    replay_bytes: int = Field(default=65_536, ge=0, description="larger bodies are not kept for a second attempt")
    refresh_seconds: float = Field(default=1.0, gt=0, description="how long a 421 may wait for a newer assignment")
    hold_requests: int = Field(default=1000, ge=0, description="of one tenant that wait while it is moved")
    hold_bytes: int = Field(default=8_388_608, ge=0, description="of their bodies")
    hold_seconds: float = Field(default=10.0, gt=0, description="how long each waits at most")
    rate_share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="of a tenant's limit that this process grants: 1 / number of processes",
    )
    busiest_tenants: int = Field(default=100, ge=1, le=10_000, description="that get a metric of their own")
    access_log_share: float = Field(default=0.001, ge=0, le=1, description="of the requests that are logged")
    websockets: bool = Field(default=True, description="whether WebSockets are passed on")
    pipe_idle_seconds: float = Field(default=3600.0, gt=0, description="for a WebSocket whose client is silent")

    tls_certificate: str = Field(default="", description="PEM file with the chain; empty: plain HTTP")
    tls_key: str = Field(default="", description="PEM file with its private key")
    cell_ca: str = Field(default="", description="PEM file of who signs cells' certificates; empty: the system's")
    cell_certificate: str = Field(default="", description="PEM file: shown to cells that ask for one (mTLS)")
    cell_key: str = Field(default="", description="PEM file with its private key")
    cell_tls_folder: str = Field(
        default="",
        description="with ca.pem, cert.pem and key.pem of the fleet: cells prove by TLS who they are; empty: none",
    )
    cell_tls_only: bool = Field(
        default=True, description="false: cells at http:// are still reached, while a fleet changes over to TLS"
    )
    proxy_protocol: bool = Field(
        default=False, description="every connection begins with a PROXY protocol header (1 or 2)"
    )

    probe_seconds: float = Field(default=0.2, gt=0, description="of silence, after which a cell is probed")
    stopped_seconds: float = Field(default=0.6, gt=0, description="of silence, after which a cell is stopped")

    @field_validator("domains")
    @classmethod
    def _domains(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        for domain in domains:
            if not all(is_name(label) or len(label) == 1 for label in domain.lower().split(".")):
                raise ValueError("a domain looks like api.example.com")
        return tuple(domain.lower() for domain in domains)

    @field_validator("tenant_header")
    @classmethod
    def _tenant_header(cls, name: str) -> str:
        if not TOKEN.match(name.encode()):
            raise ValueError("not a header's name")
        return name

    @field_validator("trusted_proxies")
    @classmethod
    def _trusted_proxies(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ipaddress.ip_network(network)
        return networks

    @model_validator(mode="after")
    def _probe_first(self) -> Self:
        if self.probe_seconds >= self.stopped_seconds:
            raise ValueError("PROBE_SECONDS must be less than STOPPED_SECONDS")
        return self

    @model_validator(mode="after")
    def _whole_pairs(self) -> Self:
        for certificate, key in (("tls_certificate", "tls_key"), ("cell_certificate", "cell_key")):
            if bool(getattr(self, certificate)) != bool(getattr(self, key)):
                raise ValueError(f"{certificate.upper()} and {key.upper()} belong together")
        if self.cell_tls_folder and (self.cell_ca or self.cell_certificate):
            raise ValueError(
                "CELL_TLS_FOLDER takes the place of CELL_CA, CELL_CERTIFICATE and CELL_KEY: unset those"
            )
        return self

    def sources(self) -> Sources:
        """What may name a tenant."""
        return Sources(
            domains=tuple(domain.encode() for domain in self.domains),
            tenant_header=self.tenant_header.lower().encode(),
            host="host" in self.identify,
            path="path" in self.identify,
            header="header" in self.identify,
            key="key" in self.identify,
            require_key=self.require_api_key,
        )

    def caution(self) -> Caution:
        """Which snapshots are not believed."""
        return Caution(self.vanishing_share, self.vanishing_floor)

    def patience(self) -> Patience:
        """How long a cell may be silent."""
        return Patience(self.probe_seconds, self.stopped_seconds)
