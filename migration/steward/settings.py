"""What a steward can be told, by `CELLWAY_STEWARD_…`."""

from typing import Annotated, ClassVar

from pydantic import Field, SecretStr

from directory.rules.capacities import MOST
from directory.rules.names import NAME
from runtime.settings import Port, Settings


class StewardSettings(Settings):
    """Which cell it speaks for, and where that cell's database is."""

    env_prefix: ClassVar[str] = "CELLWAY_STEWARD_"

    cell_id: str = Field(pattern=NAME)
    region: str = "local"
    cpus: float | None = Field(
        default=None, gt=0, le=MOST, allow_inf_nan=False, description="what the cell can hold; none: unknown"
    )
    memory_bytes: int | None = Field(default=None, gt=0, le=int(MOST))
    storage_bytes: int | None = Field(default=None, gt=0, le=int(MOST))
    network_bits: float | None = Field(default=None, gt=0, le=MOST, allow_inf_nan=False, description="per second")
    host: str = "127.0.0.1"
    port: Port = Field(default=0, description="the control contract, metrics and health; never for tenants")
    tls_folder: str = Field(
        default="",
        description="with ca.pem, cert.pem for CELL_ID and key.pem: its port speaks TLS; empty: plain HTTP",
    )
    database_dsn: str = Field(repr=False, description="the cell's database as the role that `cellway adopt` made")
    control_token: Annotated[SecretStr, Field(min_length=16)]
    service_version: str = Field(default="", max_length=100, description="of the service that runs here")
