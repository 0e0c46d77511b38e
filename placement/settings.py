"""What placement can be told, by `CELLWAY_PLACEMENT_…`."""

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from directory.rules.moves import MOST_REVERSE_SECONDS
from placement.rules import roles
from placement.rules.pacing import hours_of
from runtime.settings import Port, SecretList, SecretStr, Settings

SHORTEST_SECRET = 16
CONSULS_LEAST_SECONDS = 10


class PlacementSettings(Settings):
    """Addresses of the directory, and the secrets of the control plane."""

    env_prefix: ClassVar[str] = "CELLWAY_PLACEMENT_"

    host: str = "127.0.0.1"
    port: Port = Field(default=8081, description="where operators call")
    admin_port: Port = Field(default=0, description="metrics and health; 0: the system chooses")
    directory_dsn: str = Field(repr=False, description="the control database as role directory_writer")
    directory_owner_dsn: str | None = Field(
        default=None, repr=False, description="the same as role directory_owner, to upgrade the schema at start"
    )
    schema_phases: Literal["all", "pre"] = Field(
        default="all", description="pre: leave `post` upgrades alone, because older programs still run"
    )
    directory_redis_url: str = Field(repr=False, description="the Redis that routers follow")
    operator_tokens: SecretList = Field(
        min_length=1,
        description="whoever sends one of these is an operator; role:name:op_…, and a token alone is an admin's",
    )
    control_key: SecretStr = Field(
        min_length=SHORTEST_SECRET, description="every cell's control token derives from it"
    )
    page_key: SecretStr = Field(min_length=SHORTEST_SECRET, description="authenticates page tokens")
    keep_audit_days: float = Field(
        default=400.0, ge=30.0, le=36_500.0, description="how long the audit log can be looked at"
    )
    consul_url: str | None = Field(
        default=None, description="the registry of processes; none: the directory's Redis"
    )
    consul_token: SecretStr | None = Field(default=None, description="an ACL token that may register services")

    cell_tls_folder: str = Field(
        default="",
        description="with ca.pem, cert.pem and key.pem: cells prove by TLS who they are; empty: plain HTTP",
    )
    cell_tls_only: bool = Field(
        default=True, description="false: cells at http:// are still called, while a fleet changes over to TLS"
    )

    leader_seconds: float = Field(
        default=15,
        ge=1,
        le=600,
        description="after so long of silence another placement may lead; 10 at least in Consul",
    )

    cell_lead_days: int = Field(
        default=14, ge=0, le=365, description="how long it takes until a cell that is wanted can be opened"
    )
    load_seconds: float = Field(
        default=60, ge=1, le=3600, description="how often cells are asked what their tenants take"
    )

    reverse_seconds: float = Field(
        default=3600,
        ge=0,
        le=MOST_REVERSE_SECONDS,
        description="how long moves of drains, and those begun by itself, keep their way back",
    )
    automatic: bool = Field(default=False, description="levels load by itself: plans approve of themselves")
    automatic_seconds: float = Field(
        default=300, ge=10, le=86_400, description="between two looks whether load should be levelled"
    )
    automatic_moves_a_day: int = Field(default=200, ge=1, le=1_000_000, description="begun by itself, at most")
    automatic_bytes_a_day: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="carried by itself, at most; none: as much as comes"
    )
    automatic_quiet: str = Field(
        default="", description="parts of the day in UTC in which it begins nothing: 22:00-06:00,12:00-13:00"
    )

    @field_validator("automatic_quiet")
    @classmethod
    def _hours_can_be_told(cls, text: str) -> str:
        hours_of(text)
        return text

    @model_validator(mode="after")
    def _consul_keeps_sessions_that_long(self) -> Self:
        if self.consul_url is not None and self.leader_seconds < CONSULS_LEAST_SECONDS:
            raise ValueError(f"with Consul LEADER_SECONDS is {CONSULS_LEAST_SECONDS} at least")
        return self

    @field_validator("operator_tokens")
    @classmethod
    def _tokens_can_be_read_and_not_be_guessed(cls, tokens: SecretList) -> SecretList:
        roles.grants([token.get_secret_value() for token in tokens])
        return tokens
