"""Settings of the cell's API and worker, from `CELLWAY_CELL_…`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from directory.rules.capacities import MOST
from directory.rules.names import NAME
from runtime.api.texts import Email
from runtime.settings import Port, Settings

Secret = Annotated[SecretStr, Field(min_length=16)]


class CellSettings(Settings):
    """Both programs of a cell take the same settings; the worker does not use `PORT`."""

    env_prefix: ClassVar[str] = "CELLWAY_CELL_"

    cell_id: str = Field(pattern=NAME)
    region: str = "local"
    cpus: float | None = Field(
        default=None, gt=0, le=MOST, allow_inf_nan=False, description="what the cell can hold; none: unknown"
    )
    memory_bytes: int | None = Field(default=None, gt=0, le=int(MOST))
    storage_bytes: int | None = Field(default=None, gt=0, le=int(MOST))
    network_bits: float | None = Field(default=None, gt=0, le=MOST, allow_inf_nan=False, description="per second")
    host: str = "127.0.0.1"
    port: Port = 0
    admin_port: Port = Field(default=0, description="control API, metrics and health; never for tenants")
    tls_folder: str = Field(
        default="",
        description="with ca.pem, cert.pem for CELL_ID and key.pem: its ports speak TLS; empty: plain HTTP",
    )
    app_dsn: str = Field(repr=False, description="role cell_app")
    control_dsn: str = Field(repr=False, description="role cell_control")
    relay_dsn: str = Field(repr=False, description="role cell_relay")
    owner_dsn: str | None = Field(
        default=None, repr=False, description="role cell_owner, for schema upgrades at start"
    )
    schema_phases: Literal["all", "pre"] = Field(
        default="all", description="pre: leave `post` upgrades alone, because older programs still run"
    )
    redis_url: str = Field(repr=False)
    control_token: Secret
    key_pepper: Secret = Field(description="the same in all cells: API keys move along with their tenants")
    page_key: Secret = Field(description="the same in all cells: page tokens too")
    consul_url: str | None = Field(default=None, description="announce this process there; none: nowhere")
    consul_token: SecretStr | None = Field(default=None, description="an ACL token that may register services")
    namespace_domain: str = Field(default="namespaces.localhost", description="where namespaces answer")
    smtp_url: str | None = Field(
        default=None,
        repr=False,
        description="smtp://user:password@host:587, smtps://… for TLS at once; none: mails are kept in a table",
    )
    mail_from: Email = Field(default="cellway@localhost", description="who mails come from")
    pool_size: int = Field(default=16, ge=2, le=200)
    worker_threads: int = Field(default=8, ge=1, le=64, description="in each lane")
    work: str = Field(
        default="", description="modules of yours, by commas, whose WORKFLOWS and JOBS the workers know as well"
    )
    lease_seconds: float = Field(default=30.0, ge=1.0, description="after it, a silent worker's job is taken over")
    sweep_seconds: float = Field(default=2.0, ge=0.1, description="how often forgotten jobs are looked for")
    load_seconds: float = Field(
        default=15.0, ge=0.5, le=60.0, description="how often each process hands over what tenants took from it"
    )
    hint_again_seconds: float = Field(
        default=15.0, ge=0.1, description="how long a sent hint may take to be heeded"
    )
    heartbeat_seconds: float = Field(default=15.0, ge=1.0, description="after it, a silent worker's hints return")
