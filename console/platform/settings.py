"""What `cellway up` can be told: public ports, and servers of one's own instead of embedded ones."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from runtime.settings import Port, SecretStr, Settings


class UpSettings(Settings):
    """Keys with the prefix `CELLWAY_UP_`. A port of 0 is chosen by us, and remembered."""

    env_prefix: ClassVar[str] = "CELLWAY_UP_"

    router_port: Port = Field(default=8080, description="where tenants call")
    placement_port: Port = Field(default=8081, description="where operators call")
    router_admin_port: Port = Field(default=8082, description="the router's metrics and health")
    region: str = Field(default="local", description="the region that the cells are in")
    capacity_tenants: int = Field(default=10_000, gt=0, description="how many tenants a cell may hold")
    control_postgres: SecretStr | None = Field(
        default=None, description="DSN of an administrator of one's own Postgres, for the directory"
    )
    directory_redis: SecretStr | None = Field(
        default=None, description="URL of one's own Redis, for the directory"
    )
    tls: bool = Field(
        default=False, description="cells speak TLS, with certificates that are made for it (needs openssl)"
    )
    consul: str | None = Field(default=None, description="URL of a Consul agent")
    consul_token: SecretStr | None = Field(
        default=None, description="an ACL token for it: docs/operations/consul.md"
    )

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        wanted = [port for port in (self.router_port, self.placement_port, self.router_admin_port) if port]
        if len(set(wanted)) < len(wanted):
            raise ValueError("ROUTER_PORT, PLACEMENT_PORT and ROUTER_ADMIN_PORT must be different ports")
        return self


SYSTEM_PORTS = {"router_port": 0, "placement_port": 0, "router_admin_port": 0}
"""For tests: `UpSettings(**SYSTEM_PORTS)`."""
