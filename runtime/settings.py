"""Frozen settings from the environment, one class a program, one prefix a class.

A key with the program's prefix that is no setting is refused: a misspelt deadline must not silently be
the default. A value may also come from a file named by `<KEY>_FILE`, as container secrets do.
Secrets are `SecretStr` and never printed.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from runtime.errors import SettingsError
from runtime.logs import Format

__all__ = ["CommaList", "Port", "SecretList", "SecretStr", "Settings"]


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_split)]
SecretList = Annotated[tuple[SecretStr, ...], BeforeValidator(_split)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseModel):
    """What every program can be told. Subclasses set `env_prefix` and add their own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    env_prefix: ClassVar[str]

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Format = Field(default="auto", description="columns, json, or auto: columns on a terminal")
    drain_seconds: float = Field(default=10.0, ge=0, description="how long to go on finishing after SIGTERM")

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the settings; a `SettingsError` names every key that is wrong, and never a value."""
        env = os.environ if environment is None else environment
        values = _values(env, cls.env_prefix, set(cls.model_fields))
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            parts = error.errors(include_input=False, include_url=False)
            lines = [f"{cls.env_prefix}{_key(part['loc'])}: {part['msg']}" for part in parts]
            raise SettingsError("; ".join(lines)) from None

    def shown(self) -> dict[str, Any]:
        """The effective settings for people: secrets as stars, addresses without their passwords."""
        return {name: _shown(value) for name, value in self.model_dump(mode="json").items()}


def _key(location: tuple[int | str, ...]) -> str:
    return str(location[0]).upper() if location else "?"


def _values(env: Mapping[str, str], prefix: str, known: set[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    unknown: list[str] = []
    for key, value in env.items():
        if not key.startswith(prefix):
            continue
        name = key.removeprefix(prefix).lower()
        if name in known:
            values[name] = value
        elif name.endswith("_file") and name.removesuffix("_file") in known:
            values.setdefault(name.removesuffix("_file"), _read(key, value))
        else:
            unknown.append(key)
    if unknown:
        raise SettingsError(f"unknown setting {', '.join(sorted(unknown))}: misspelt, or of another version?")
    return values


def _read(key: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{key}: cannot read {path}: {error}") from None


def _shown(value: Any) -> Any:
    """An address is shown as scheme, host and path: user, password and parameters may be secrets."""
    if not isinstance(value, str) or "://" not in value:
        return value
    scheme, _, rest = value.partition("://")
    _user, at, place = rest.partition("?")[0].rpartition("@")
    hidden = "?***" if "?" in rest else ""
    return f"{scheme}://{'***@' if at else ''}{place}{hidden}"
