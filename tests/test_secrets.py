"""No program shows a secret of its settings, whatever form the secret came in."""

import pytest

from cell.settings import CellSettings
from console.platform.settings import UpSettings
from migration.settings import MigrationSettings
from migration.steward.settings import StewardSettings
from placement.settings import PlacementSettings
from router.settings import RouterSettings
from runtime.settings import Settings

MARK = "hunter2-and-sixteen-more"
FORMS = [
    f"postgresql://me:{MARK}@10.0.0.1:5432/db",
    f"postgresql://10.0.0.1/db?user=me&password={MARK}",
    f"redis://:{MARK}@10.0.0.1:6379/0",
    f"smtp://me:{MARK}@10.0.0.1:587",
]
PLAIN = {"cell_id": "cell-1", "cells_path": "/run/secrets/cells"}
PROGRAMS = [CellSettings, MigrationSettings, PlacementSettings, RouterSettings, StewardSettings, UpSettings]
ADDRESSES = {
    "app_dsn",
    "control_dsn",
    "relay_dsn",
    "owner_dsn",
    "redis_url",
    "directory_dsn",
    "directory_owner_dsn",
    "smtp_url",
    "database_dsn",
}
ADDRESSES |= {"directory_redis_url", "control_postgres", "directory_redis"}
SECRETS = {"control_token", "key_pepper", "page_key", "control_key", "operator_tokens", "consul_token"}


@pytest.mark.parametrize("address", FORMS)
@pytest.mark.parametrize("kind", PROGRAMS)
def test_settings_show_no_secret(kind: type[Settings], address: str) -> None:
    """Neither when they are printed nor on the page of effective settings."""
    values = {
        **{name: value for name, value in PLAIN.items() if name in kind.model_fields},
        **dict.fromkeys(ADDRESSES & kind.model_fields.keys(), address),
        **dict.fromkeys(SECRETS & kind.model_fields.keys(), MARK),
    }
    settings = kind.load({f"{kind.env_prefix}{name.upper()}": value for name, value in values.items()})
    assert MARK not in repr(settings)
    assert MARK not in str(settings.shown())


@pytest.mark.parametrize("kind", PROGRAMS)
def test_every_setting_that_may_be_secret_is_known_here(kind: type[Settings]) -> None:
    """A new address or key must not be forgotten by the test above."""
    suspicious = ("dsn", "url", "key", "token", "secret", "password", "pepper", "postgres", "redis")
    named = {name for name in kind.model_fields if any(word in name for word in suspicious)}
    harmless = {"consul_url", "require_api_key", "tls_key", "cell_key"}  # the latter are paths
    assert named <= ADDRESSES | SECRETS | harmless
