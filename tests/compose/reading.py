"""Reads Compose files as Docker does: `extends`, several files over one another, variables with their defaults.

What is read here is compared with what Docker Compose itself reads, where that is installed.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "compose"
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
SECRETS = "./secrets/"
"""Where secrets are files, unless told otherwise."""
_REPLACED = frozenset({"command", "entrypoint", "test"})
"""Lists that another file does not add to."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of ours, or a volume."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Service:
    """One service. `secrets`: path in the container → name of the secret; `networks`: name → aliases."""

    name: str
    told: Mapping[str, Any]
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    networks: Mapping[str, tuple[str, ...]]
    addresses: Mapping[str, str]
    mounts: tuple[Mount, ...]
    needs: Mapping[str, str]
    ports: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        """What runs, with the entry point before it."""
        return (*(self.told.get("entrypoint") or ()), *(self.told.get("command") or ()))

    @property
    def is_job(self) -> bool:
        """It ends by itself."""
        return str(self.told.get("restart", "")).startswith("on-failure")

    @property
    def is_ours(self) -> bool:
        """It is of the one image that we make."""
        return str(self.told["image"]).startswith("cellway")


@dataclass(frozen=True, slots=True)
class Stack:
    """All of it. `files`: secret → its file, relative to `compose/`."""

    services: Mapping[str, Service]
    networks: Mapping[str, Mapping[str, Any]]
    volumes: frozenset[str]
    files: Mapping[str, str]


def stack(*names: str, variables: Mapping[str, str] | None = None, folder: Path = FOLDER) -> Stack:
    """These files over one another."""
    return of(whole(*names, variables=variables, folder=folder))


def whole(*names: str, variables: Mapping[str, str] | None = None, folder: Path = FOLDER) -> dict[str, Any]:
    """The document that they make together, in the long form."""
    made: dict[str, Any] = {}
    for name in names:
        document = _document(folder / name, variables or {})
        services = {
            key: _long(_extended(service, folder / name, variables or {}))
            for key, service in document.get("services", {}).items()
        }
        made = merged(made, {**document, "services": services})
    return {key: value for key, value in made.items() if not key.startswith("x-")}


def of(document: Mapping[str, Any]) -> Stack:
    """What a document says."""
    return Stack(
        {name: _service(name, told) for name, told in document["services"].items()},
        {name: told or {} for name, told in document["networks"].items()},
        frozenset(document["volumes"]),
        {name: told.get("file", "") for name, told in document["secrets"].items()},
    )


def _document(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    def filled(value: Any) -> Any:
        if isinstance(value, str):
            return _VARIABLE.sub(lambda found: variables.get(found[1]) or found[2] or "", value)
        if isinstance(value, dict):
            return {key: filled(each) for key, each in value.items()}
        return [filled(each) for each in value] if isinstance(value, list) else value

    document: dict[str, Any] = filled(_parsed(path.read_text(encoding="utf-8")))
    return document


@functools.cache
def _parsed(text: str) -> Any:
    return yaml.safe_load(text)


def _extended(service: Mapping[str, Any], path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    own = {key: value for key, value in service.items() if key != "extends"}
    if "extends" not in service:
        return own
    source = path.with_name(service["extends"]["file"])
    base = _document(source, variables)["services"][service["extends"]["service"]]
    return merged(_long(_extended(base, source, variables)), _long(own))


def _long(service: Mapping[str, Any]) -> dict[str, Any]:
    """Short forms that must be merged by name, in their long form."""
    made = dict(service)
    if isinstance(made.get("networks"), list):
        made["networks"] = dict.fromkeys(made["networks"])
    if "secrets" in made:
        made["secrets"] = [_secret(each) for each in made["secrets"]]
    return made


def _secret(told: str | Mapping[str, str]) -> dict[str, str]:
    source = told if isinstance(told, str) else told["source"]
    target = source if isinstance(told, str) else told.get("target", source)
    return {"source": source, "target": target if target.startswith("/") else f"/run/secrets/{target}"}


def merged(below: Any, above: Any, key: str = "") -> Any:
    """`above` over `below`: maps by key, lists one after the other, anything else replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        common = {name: merged(below.get(name), value, name) for name, value in above.items()}
        return {**below, **common}
    if isinstance(below, list) and isinstance(above, list) and key not in _REPLACED:
        return [*below, *(each for each in above if each not in below)]
    return below if above is None else above


def _service(name: str, told: Mapping[str, Any]) -> Service:
    networks = told.get("networks") or {}
    return Service(
        name=name,
        told=told,
        environment={key: str(value) for key, value in (told.get("environment") or {}).items()},
        secrets={each["target"]: each["source"] for each in map(_secret, told.get("secrets") or ())},
        networks={key: tuple((value or {}).get("aliases", ())) for key, value in networks.items()},
        addresses={key: to["ipv4_address"] for key, to in networks.items() if to and "ipv4_address" in to},
        mounts=tuple(map(_mount, told.get("volumes") or ())),
        needs={key: value["condition"] for key, value in (told.get("depends_on") or {}).items()},
        ports=tuple(map(_port, told.get("ports") or ())),
    )


def _mount(told: str | Mapping[str, Any]) -> Mount:
    if not isinstance(told, str):
        return Mount(str(told.get("source", "")), told["target"], bool(told.get("read_only")))
    source, target, *rest = told.split(":")
    return Mount(source, target, "ro" in rest)


def _port(told: str | Mapping[str, Any]) -> str:
    if isinstance(told, str):
        return told
    return f"{told.get('host_ip', '')}:{told['published']}:{told['target']}".lstrip(":")


def names_of(found: Stack) -> Mapping[str, str]:
    """Every name by which a service can be called → the service; of an alias, the first that has it."""
    names: dict[str, str] = {}
    for service in found.services.values():
        names[service.name] = service.name
        for aliases in service.networks.values():
            for alias in aliases:
                names.setdefault(alias, service.name)
    return names


def with_one(told: Mapping[str, Any], name: str, **changed: Any) -> dict[str, Any]:
    """The same document, with one service changed; for planting mistakes."""
    services: Mapping[str, Any] = told["services"]
    return {**told, "services": {**services, name: {**services[name], **changed}}}


def all_text(value: Any) -> Sequence[str]:
    """Every piece of text in it."""
    if isinstance(value, Mapping):
        return [text for each in value.values() for text in all_text(each)]
    if isinstance(value, list | tuple):
        return [text for each in value for text in all_text(each)]
    return [str(value)]
