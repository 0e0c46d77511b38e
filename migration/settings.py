"""What a mover can be told, by `CELLWAY_MIGRATION_…`."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from runtime.settings import Port, SecretStr, Settings


class MigrationSettings(Settings):
    """Where the directory is, where the cells' databases are, and how much may be moved at once."""

    env_prefix: ClassVar[str] = "CELLWAY_MIGRATION_"

    host: str = "127.0.0.1"
    admin_port: Port = Field(default=0, description="metrics and health; 0: the system chooses")
    directory_dsn: str = Field(repr=False, description="the control database as role directory_mover")
    cells_path: Path = Field(
        description="a folder with a file for each cell, called as the cell: its database as role cell_mover"
    )
    directory_redis_url: SecretStr | None = Field(
        default=None, description="announce this process there; none: nowhere, unless in Consul"
    )
    consul_url: str | None = Field(default=None, description="announce this process there instead")
    consul_token: SecretStr | None = Field(default=None, description="an ACL token that may register services")
    moves: int = Field(default=8, ge=1, le=100, description="how many this mover carries at once")
    moves_of_a_cell: int = Field(
        default=4, ge=1, le=100, description="how many all movers together carry out of or into one cell at once"
    )
    lease_seconds: float = Field(default=15.0, ge=1.0, le=300.0, description="after so long another takes over")
    look_seconds: float = Field(default=1.0, ge=0.05, le=60.0, description="between two looks for something to do")
    latency_rise: float = Field(
        default=1.1, ge=1.0, le=100.0, description="copies may make a source's commits take so many times as long"
    )
    latency_tolerance_ms: float = Field(
        default=3.0, ge=0.0, le=10_000.0, description="and so much longer, which clients do not notice"
    )
    least_pace: float = Field(
        default=0.1, gt=0.0, le=1.0, description="of the time, in which a cell is copied from all the same"
    )
    keep_moves_days: float = Field(
        default=90.0, ge=1.0, le=3650.0, description="how long moves that have ended can be looked at"
    )
