"""What is wrong with a stack in the eyes of whoever has to defend it. Pure: a document in, sentences out."""

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from tests.compose.reading import SECRETS, Service, Stack, all_text, of

OPEN = {"public": {"haproxy"}, "panel": {"grafana"}}
"""Networks with a way out of the machine, and who may use it."""
LISTENING = {"haproxy": {"8080", "8081"}, "grafana": {"3000"}}
"""Who may listen on the machine, and on which of its ports."""
SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|TOKENS|KEY|PEPPER|DSN|REDIS_URL)$")
WITH_PASSWORD = re.compile(r"[a-z]+://[^/\s:@]*:[^@\s/]+@")
OPTION_WITH_PASSWORD = re.compile(r"--?(requirepass|password|pass|token|masterauth)[= ]", re.IGNORECASE)
PINNED = re.compile(r"^(postgres:\d+\.\d+|[\w./-]+:v?\d+\.\d+\.\d+)(-[\w.-]+)?$")
"""To the last number; Postgres has two."""
READ_BY_A_SERVER = {
    ("consul-watch-token", "prometheus"),
    ("certificates/prometheus", "prometheus"),
    ("grafana-password", "grafana"),
}
"""Secrets, and folders with such, that a server's own configuration file names."""
CELL = re.compile(r"^(cell-\d+)-")
REACHES = {
    "control-postgres": {"placement", "mover", "directory-setup"},
    "directory-redis": {"placement", "router"},
    "alertmanager": {"prometheus", "grafana", "router", "placement", "mover", "haproxy", "consul"},
}
"""Who may share a network with a server of the control plane, by the beginning of its name."""


def wrongs(document: Mapping[str, Any]) -> list[str]:
    """Every mistake, as a sentence."""
    found = of(document)
    made = [sentence for service in found.services.values() for sentence in _of_a_service(service, found)]
    return [*made, *_of_networks(found), *_of_secrets(document, found)]


def _of_a_service(service: Service, found: Stack) -> Iterator[str]:
    name, told = service.name, service.told
    yield from (f"{name}: {what}" for what in _sealed(told))
    yield from (f"{name}: {what}" for what in _seeing(service))
    yield from (f"{name}: {what}" for what in _bounded(service, told))
    yield from (f"{name}: {what}" for what in _telling(service, found))
    for other, condition in service.needs.items():
        needed = found.services.get(other)
        if needed is None:
            yield f"{name}: needs {other}, which is not there"
        elif condition != ("service_completed_successfully" if needed.is_job else "service_healthy"):
            yield f"{name}: waits for {other} to be {condition}"
    for port in service.ports:
        host, published = port.split(":")[0], port.split(":")[-2]
        if published not in LISTENING.get(name, ()):
            yield f"{name}: listens on port {published} of the machine"
        elif host != "127.0.0.1":
            yield f"{name}: listens to everybody on port {published}, unless told otherwise"


def _sealed(told: Mapping[str, Any]) -> Iterator[str]:
    user = str(told.get("user", "root")).partition(":")[0]
    if user in ("root", "0") or not user.isdigit():
        yield "runs as root, or as a user without a number"
    if told.get("read_only") is not True:
        yield "its root can be written"
    if told.get("cap_drop") != ["ALL"] or told.get("cap_add"):
        yield "keeps capabilities"
    if "no-new-privileges:true" not in told.get("security_opt", ()) or len(told.get("security_opt", ())) > 1:
        yield "may gain privileges"
    for right in ("privileged", "devices", "pid", "ipc", "network_mode", "userns_mode", "cgroup_parent", "uts"):
        if told.get(right):
            yield f"has {right}"


def _seeing(service: Service) -> Iterator[str]:
    """What it sees of the machine's files."""
    for mount in service.mounts:
        source = mount.source
        if "docker.sock" in source or source.startswith("/"):
            yield f"sees the machine's {source}"
        elif source.startswith(".") and not mount.read_only:
            yield f"may write {source}"
        if source.startswith(SECRETS):
            folder = source.removeprefix(SECRETS)
            kind, _, owner = folder.partition("/")
            if kind != "certificates" or not owner or not f"{service.name}-".startswith(f"{owner}-"):
                yield f"sees {source}, a folder with secrets of others"
            read = mount.target in service.environment.values() or (folder, service.name) in READ_BY_A_SERVER
            if not read:
                yield f"sees {source}, which it does not read"


def _bounded(service: Service, told: Mapping[str, Any]) -> Iterator[str]:
    limits = ((told.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    if missing := {"cpus", "memory", "pids"} - limits.keys():
        yield f"has no limit of {', '.join(sorted(missing))}"
    if not PINNED.match(str(told["image"])):
        yield f"its image {told['image']} is not pinned to a version"
    if not told.get("restart") or told["restart"] == "no":
        yield "is not started again"
    if not service.is_job and not (told.get("healthcheck") or {}).get("test"):
        yield "nobody asks how it is"
    if "max-size" not in ((told.get("logging") or {}).get("options") or {}):
        yield "its log grows without a bound"


def _telling(service: Service, found: Stack) -> Iterator[str]:
    """What it is told in the open, and whether its secrets are those that it needs."""
    for key, value in service.environment.items():
        path = key.removesuffix("_FILE").removesuffix("__FILE") != key
        if WITH_PASSWORD.search(value) or (SECRET_NAME.search(key) and not path and "@" not in value):
            yield f"is told {key} in the open"
    for text in all_text([service.command, service.told.get("healthcheck")]):
        if WITH_PASSWORD.search(text) or OPTION_WITH_PASSWORD.search(text):
            yield "its command holds a password"
    said = " ".join([*service.environment.values(), *service.command])
    mounted = {*service.secrets, *(mount.target for mount in service.mounts)}
    for path in re.findall(r"/run/secrets/[\w./-]+", said):
        if not any(f"{path}/".startswith(f"{known}/") or known.startswith(f"{path}/") for known in mounted):
            yield f"reads {path}, which is not mounted"
    for path, name in service.secrets.items():
        if name not in found.files:
            yield f"has a secret {name}, which is not declared"
        elif not _is_read(name, path, service.name, said):
            yield f"has the secret {name}, which it does not read"
        if (own := CELL.match(name)) and not _may_know(service.name, own[1]):
            yield f"has {name}, a secret of a cell that it is no part of"


def _is_read(name: str, path: str, service: str, said: str) -> bool:
    """Its path is said, or that of its folder, or a server's own configuration says it."""
    folder = path.rpartition("/")[0]
    in_folder = folder != "/run/secrets" and folder in said
    return path in said or in_folder or (name, service) in READ_BY_A_SERVER


def _may_know(service: str, cell: str) -> bool:
    return service.startswith((f"{cell}-", "mover-", "consul-setup"))


def _of_networks(found: Stack) -> Iterator[str]:
    for name, told in found.networks.items():
        members = {service.name for service in found.services.values() if name in service.networks}
        if not told.get("internal") and members - OPEN.get(name, set()):
            yield f"network {name}: {', '.join(sorted(members - OPEN.get(name, set())))} can leave the machine"
    for one, other in combinations(found.services.values(), 2):
        common = one.networks.keys() & other.networks.keys()
        cells = [match[1] for each in (one, other) if (match := CELL.match(each.name))]
        if len(set(cells)) == 2 and common and not {one.name, other.name} & _to_placement(found):
            yield f"{one.name} and {other.name} of another cell meet in {', '.join(sorted(common))}"
        for server, caller in ((one, other), (other, one)):
            yield from _reached(server, caller, common)


def _to_placement(found: Stack) -> set[str]:
    """Jobs that call placement alone."""
    return {service.name for service in found.services.values() if set(service.networks) == {"operators"}}


def _reached(server: Service, caller: Service, common: Any) -> Iterator[str]:
    if not common:
        return
    allowed = REACHES.get(server.name)
    if server.name.endswith(("-postgres", "-redis")) and (cell := CELL.match(server.name)):
        allowed = {f"{cell[1]}-", "mover-"}
    if allowed is not None and not any(caller.name.startswith(each) for each in allowed):
        yield f"{caller.name} reaches {server.name} in {', '.join(sorted(common))}"


def _of_secrets(document: Mapping[str, Any], found: Stack) -> Iterator[str]:
    for name, told in document["secrets"].items():
        if set(told) != {"file"} or not str(told["file"]).startswith("./secrets/"):
            yield f"secret {name} is no file of the folder of secrets"
        if not any(name in service.secrets.values() for service in found.services.values()):
            yield f"secret {name} is of no use to anybody"
