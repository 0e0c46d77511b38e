"""Settings come from the environment, whole or not at all."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, ValidationError

from runtime.errors import SettingsError
from runtime.settings import CommaList, Port, SecretList, SecretStr, Settings


class Example(Settings):
    """Settings of a program that does not exist."""

    env_prefix: ClassVar[str] = "CELLWAY_EXAMPLE_"

    port: Port = 8000
    key: SecretStr = Field(min_length=4)
    tokens: SecretList = ()
    domains: CommaList = ("a.test",)
    dsn: str = "postgresql://me:hunter2@10.0.0.1:5432/db"


GOOD = {"CELLWAY_EXAMPLE_KEY": "hush-hush", "PATH": "/bin", "CELLWAY_OTHER_PORT": "1"}


def test_values_come_from_keys_with_the_programs_prefix() -> None:
    """And from no others: programs share an environment."""
    settings = Example.load({**GOOD, "CELLWAY_EXAMPLE_PORT": "81", "CELLWAY_EXAMPLE_DOMAINS": "a.test, b.test,"})
    assert (settings.port, settings.domains, settings.log_level) == (81, ("a.test", "b.test"), "info")


def test_an_unknown_key_is_refused() -> None:
    """A misspelt deadline must not silently be the default."""
    with pytest.raises(SettingsError, match="CELLWAY_EXAMPLE_PROT"):
        Example.load({**GOOD, "CELLWAY_EXAMPLE_PROT": "81"})


def test_every_wrong_value_is_named_and_none_is_shown() -> None:
    """The message is for the operator's screen, which others see."""
    with pytest.raises(SettingsError) as caught:
        Example.load({"CELLWAY_EXAMPLE_KEY": "abc", "CELLWAY_EXAMPLE_PORT": "99999"})
    text = str(caught.value)
    assert "CELLWAY_EXAMPLE_PORT" in text
    assert "CELLWAY_EXAMPLE_KEY" in text
    assert "abc" not in text
    assert "99999" not in text


def test_a_missing_key_is_named() -> None:
    """What has no default must be given."""
    with pytest.raises(SettingsError, match="CELLWAY_EXAMPLE_KEY"):
        Example.load({})


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    """As container secrets do; the final newline is not part of it."""
    (tmp_path / "key").write_text("from-a-file\n")
    settings = Example.load({"CELLWAY_EXAMPLE_KEY_FILE": str(tmp_path / "key")})
    assert settings.key.get_secret_value() == "from-a-file"
    with pytest.raises(SettingsError, match="KEY_FILE: cannot read"):
        Example.load({"CELLWAY_EXAMPLE_KEY_FILE": str(tmp_path / "gone")})


def test_secrets_are_never_shown() -> None:
    """Neither by repr nor on the page of effective settings."""
    settings = Example.load({**GOOD, "CELLWAY_EXAMPLE_TOKENS": "op_one,op_two"})
    shown = repr(settings.shown()) + repr(settings.key) + repr(settings.tokens)
    for secret in ("hush-hush", "op_one", "op_two", "hunter2"):
        assert secret not in shown
    assert settings.shown()["dsn"] == "postgresql://***@10.0.0.1:5432/db"


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://db/cell?user=app&password=hunter2", "postgresql://db/cell?***"),
        ("redis://:hunter2@h:6379/0?password=hunter2", "redis://***@h:6379/0?***"),
        ("postgresql://me:hun@ter2@h/db", "postgresql://***@h/db"),
        ("http://10.0.0.7:8500", "http://10.0.0.7:8500"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(dsn: str, shown: str) -> None:
    """Passwords hide in the user's part and among the parameters."""
    assert Example.load({**GOOD, "CELLWAY_EXAMPLE_DSN": dsn}).shown()["dsn"] == shown


def test_settings_do_not_change() -> None:
    """Whoever reads one twice reads the same."""
    settings = Example.load(GOOD)
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
