"""What may be wrong with the manifests, each a function from a fleet to sentences; none: all is well."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from cell.settings import CellSettings
from migration.settings import MigrationSettings
from placement.settings import PlacementSettings
from router.settings import RouterSettings
from runtime import admin
from runtime.errors import SettingsError
from runtime.health import Health
from runtime.settings import Settings
from runtime.tls.credentials import FILES
from tests.compose.kubernetes import WORKLOADS, Document, Fleet, Pod, matches

PROGRAMS: Mapping[str, type[Settings]] = {
    "router": RouterSettings,
    "placement": PlacementSettings,
    "migration": MigrationSettings,
    "cell": CellSettings,
    "cell.worker": CellSettings,
}
ADMIN_PORTS = "ADMIN_PORT"
UNTIL_CLOSED_SECONDS = 15
"""After its drain a program gives what is left of each of its parts some seconds, most of them none."""
SAMPLES = {"dsn": "postgresql://me:secret@host:5432/db", "url": "redis://:secret@host:6379/0"}
TOKEN = "op_sixteen-characters-at-least"


def containers(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All of a pod, those of its beginning too."""
    return [*spec.get("initContainers", ()), *spec["containers"]]


def _workloads(fleet: Fleet) -> Iterator[tuple[str, Document, dict[str, Any]]]:
    for each in fleet.of(*WORKLOADS):
        name = f"{each['metadata']['namespace']}/{each['metadata']['name']}"
        yield name, each, each["spec"]["template"]["spec"]


def program_of(container: Mapping[str, Any]) -> str | None:
    """Which of our programs it runs: `python -m name`."""
    command = container.get("command", [])
    return command[2] if command[:2] == ["python", "-m"] and len(command) > 2 else None


def _ours(fleet: Fleet) -> Iterator[tuple[str, Document, dict[str, Any], str]]:
    for name, workload, spec in _workloads(fleet):
        for container in containers(spec):
            if (program := program_of(container)) is not None:
                yield name, workload, container, program


def selectors(fleet: Fleet) -> list[str]:
    """Whatever selects pods selects some, and a workload its own alone."""
    wrong = []
    pods = fleet.pods()
    for each in fleet.of("Service", "PodDisruptionBudget", *WORKLOADS):
        selector = each["spec"].get("selector")
        labels = {"matchLabels": selector} if each["kind"] == "Service" else selector
        here = [
            pod for pod in pods if pod.namespace == each["metadata"]["namespace"] and matches(labels, pod.labels)
        ]
        if len(here) != 1:
            wrong.append(f"{each['kind']} {each['metadata']['name']} selects {[str(pod) for pod in here]}")
        elif each["kind"] in WORKLOADS and here[0].name != each["metadata"]["name"]:
            wrong.append(f"{each['metadata']['name']} selects the pods of {here[0]}")
    for each in fleet.of("NetworkPolicy"):
        selector = each["spec"]["podSelector"]
        namespace = each["metadata"]["namespace"]
        if not any(pod.namespace == namespace and matches(selector, pod.labels) for pod in pods):
            wrong.append(f"NetworkPolicy {namespace}/{each['metadata']['name']} selects nobody")
    for name, workload, _ in _workloads(fleet):
        kept = workload["spec"].get("serviceName")
        services = [
            s["metadata"]["name"] for s in fleet.of("Service") if name.startswith(s["metadata"]["namespace"])
        ]
        if kept is not None and kept not in services:
            wrong.append(f"{name} is of the service {kept}, which is not there")
    return wrong


def ports(fleet: Fleet) -> list[str]:
    """Ports that are named exist; those of policies are somebody's; those of programs are what they were told."""
    wrong = []
    pods = fleet.pods()
    for each in fleet.of("Service"):
        here = [pod for pod in pods if pod.namespace == each["metadata"]["namespace"]]
        behind = [pod for pod in here if matches({"matchLabels": each["spec"]["selector"]}, pod.labels)]
        for port in each["spec"]["ports"]:
            for pod in behind:
                known = pod.ports.get(port["targetPort"])
                if known is None or known[1] != port.get("protocol", "TCP"):
                    wrong.append(f"service {each['metadata']['name']}: {pod} has no port {port['targetPort']}")
    for name, _, spec in _workloads(fleet):
        for container in containers(spec):
            named = {port["name"] for port in container.get("ports", ())}
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe = container.get(kind, {})
                asked = probe.get("httpGet", probe.get("tcpSocket", {})).get("port")
                if asked is not None and asked not in named:
                    wrong.append(f"{name}: {kind} asks port {asked}, which is not there")
    known_numbers = {number for pod in pods for number, _ in pod.ports.values()} | {53}
    for each in fleet.of("NetworkPolicy"):
        for rule in [*each["spec"].get("ingress", ()), *each["spec"].get("egress", ())]:
            for port in rule.get("ports", ()):
                if isinstance(port["port"], int) and port["port"] not in known_numbers:
                    wrong.append(f"policy {each['metadata']['name']}: nobody listens at {port['port']}")
    for name, _, container, program in _ours(fleet):
        prefix = PROGRAMS[program].env_prefix
        told = {each["name"]: each.get("value") for each in container["env"]}
        for port in container["ports"]:
            key = prefix + (ADMIN_PORTS if port["name"] == "admin" else "PORT")
            if told.get(key) != str(port["containerPort"]):
                wrong.append(f"{name}: port {port['name']} is {port['containerPort']}, and {key} {told.get(key)}")
    return wrong


def environments(fleet: Fleet) -> list[str]:
    """Programs start with what they are told: every key is one of theirs, what they need is there, files exist."""
    wrong = []
    for name, workload, container, program in _ours(fleet):
        spec = workload["spec"]["template"]["spec"]
        kind = PROGRAMS[program]
        told: dict[str, str] = {}
        for each in container["env"]:
            key, value = each["name"], _value(each, workload)
            if value is None:
                wrong.append(f"{name}: {key} comes from a field that is not there")
            elif key.endswith("_FILE"):
                wrong += _unreadable(name, key, value, container, spec)
                told[key.removesuffix("_FILE")] = _sample(key)
            else:
                told[key] = value
        try:
            kind.load(told)
        except SettingsError as error:
            wrong.append(f"{name}: {error}")
    return wrong


def _value(variable: Mapping[str, Any], workload: Document) -> str | None:
    if "value" in variable:
        return str(variable["value"])
    path = variable["valueFrom"]["fieldRef"]["fieldPath"]
    label = re.fullmatch(r"metadata\.labels\['(.+)'\]", path)
    if label is None:
        return "known to Kubernetes"
    found: str | None = workload["spec"]["template"]["metadata"]["labels"].get(label[1])
    return found


def _sample(key: str) -> str:
    found = next((text for word, text in SAMPLES.items() if word.upper() in key), None)
    return found or (TOKEN if "TOKENS" in key else "a-secret-of-more-than-sixteen")


def secret_keys(fleet: Fleet) -> dict[tuple[str, str], set[str]]:
    """Which keys of which secrets programs read as files; by namespace and secret."""
    found: dict[tuple[str, str], set[str]] = {}
    for name, workload, container, _ in _ours(fleet):
        volumes = {each["name"]: each for each in workload["spec"]["template"]["spec"]["volumes"]}
        places = {
            each["mountPath"]: volumes[each["name"]]
            for each in container["volumeMounts"]
            if each["name"] in volumes
        }
        for each in container["env"]:
            if each["name"].endswith("_FILE"):
                path = Path(each["value"])
                secret = places.get(str(path.parent), {}).get("secret", {}).get("secretName", "?")
                found.setdefault((name.partition("/")[0], secret), set()).add(path.name)
    return found


def _unreadable(
    name: str, key: str, value: str, container: Mapping[str, Any], spec: Mapping[str, Any]
) -> list[str]:
    path = Path(value)
    volume = next((m["name"] for m in container["volumeMounts"] if m["mountPath"] == str(path.parent)), None)
    secret = next((v.get("secret") for v in spec["volumes"] if v["name"] == volume), None)
    if secret is None:
        return [f"{name}: {key} names {value}, which is in no secret"]
    if path.name != key.removesuffix("_FILE"):
        return [f"{name}: {key} reads {path.name}"]
    items = [item["path"] for item in secret.get("items", ())]
    return [f"{name}: {key} reads {path.name}, which is not mounted"] if items and path.name not in items else []


def certificates(fleet: Fleet) -> list[str]:
    """A folder with certificates has all of its files; who speaks TLS is asked and watched by it."""
    wrong = []
    for name, workload, container, _ in _ours(fleet):
        template = workload["spec"]["template"]
        folder = next((v["value"] for v in container["env"] if v["name"].endswith("TLS_FOLDER")), None)
        if folder is not None:
            volume = next((m["name"] for m in container["volumeMounts"] if m["mountPath"] == folder), None)
            secret = next((v.get("secret", {}) for v in template["spec"]["volumes"] if v["name"] == volume), {})
            missing = set(FILES) - {item["path"] for item in secret.get("items", ())}
            wrong += [f"{name}: {folder} has no {file}" for file in sorted(missing)]
        serves = any(v["name"] == "CELLWAY_CELL_TLS_FOLDER" for v in container["env"])
        wanted = "HTTPS" if serves else "HTTP"
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            if (asked := container[kind]["httpGet"].get("scheme", "HTTP")) != wanted:
                wrong.append(f"{name}: {kind} asks by {asked}")
        if (told := template["metadata"]["annotations"].get("prometheus.io/scheme", "http")) != wanted.lower():
            wrong.append(f"{name}: Prometheus is told to ask by {told}")
    return wrong


def admin_paths() -> set[str]:
    """What every program's admin port answers to a GET."""
    application = admin.application(Health(), RouterSettings(directory_redis_url="redis://host"))
    return {
        resource.canonical
        for resource in application.router.resources()
        if any(isinstance(route, web.ResourceRoute) and route.method == "GET" for route in resource)
    }


def probes(fleet: Fleet) -> list[str]:
    """Each program of ours is asked by all three probes, on its admin port, for pages that it has."""
    wrong = []
    known = admin_paths()
    wanted = {"startupProbe": "/health/live", "livenessProbe": "/health/live", "readinessProbe": "/health/ready"}
    for name, _, container, _ in _ours(fleet):
        for kind, page in wanted.items():
            asked = container.get(kind, {}).get("httpGet", {})
            if asked.get("path") not in known:
                wrong.append(f"{name}: {kind} asks for {asked.get('path')}, which no program answers")
            elif (asked["path"], asked["port"]) != (page, "admin"):
                wrong.append(f"{name}: {kind} asks for {asked['path']} of {asked['port']}")
    for name, _, spec in _workloads(fleet):
        for container in containers(spec):
            wrong += [f"{name}: no {kind}" for kind in wanted if kind not in container]
    return wrong


def hardening(fleet: Fleet) -> list[str]:
    """Nobody is root, or may become it, writes to its image, or has a token of the cluster's."""
    wrong = []
    wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    accounts = {
        (each["metadata"]["namespace"], each["metadata"]["name"]): each for each in fleet.of("ServiceAccount")
    }
    for name, workload, spec in _workloads(fleet):
        context = spec.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
            wrong.append(f"{name} may be root")
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            wrong.append(f"{name} has no seccomp profile")
        account = accounts.get((workload["metadata"]["namespace"], spec.get("serviceAccountName", "")))
        if account is None or account.get("automountServiceAccountToken") is not False:
            wrong.append(f"{name} has no account of its own without a token")
        if spec.get("automountServiceAccountToken") is not False:
            wrong.append(f"{name} mounts the account's token")
        wrong += [
            f"{name}: {key}"
            for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")
            if key in spec
        ]
        wrong += [f"{name} mounts {v['name']} of its machine" for v in spec.get("volumes", ()) if "hostPath" in v]
        for container in containers(spec):
            inner = container.get("securityContext", {})
            wrong += [
                f"{name}: {key} is {inner.get(key)}" for key, value in wanted.items() if inner.get(key) != value
            ]
            if "memory" not in container.get("resources", {}).get("limits", {}):
                wrong.append(f"{name} may take all memory")
            if not {"cpu", "memory"} <= container.get("resources", {}).get("requests", {}).keys():
                wrong.append(f"{name} asks for no share of its machine")
    return wrong


def images(fleet: Fleet) -> list[str]:
    """Each is of one version."""
    return [
        f"{name}: {container['image']} is of no version"
        for name, _, spec in _workloads(fleet)
        for container in containers(spec)
        if not re.search(r"(:v?\d+\.\d+[^:/]*|@sha256:[0-9a-f]{64})$", container["image"])
    ]


def secrets(fleet: Fleet) -> list[str]:
    """None is in the files; what a program reads as a secret comes from a file."""
    wrong = [f"{each['metadata']['name']} is a secret in the files" for each in fleet.of("Secret")]
    for name, _, spec in _workloads(fleet):
        for container in containers(spec):
            for each in container.get("env", ()):
                value = str(each.get("value", ""))
                is_address = "://" in value and urlsplit(value).password is None
                sounds = re.search(r"PASSWORD|TOKEN|SECRET|DSN|PEPPER|_KEY\b|REDIS_URL", each["name"])
                if "secretKeyRef" in each.get("valueFrom", {}):
                    wrong.append(f"{name}: {each['name']} is a secret in the environment")
                elif ("@" in value or sounds) and not each["name"].endswith("_FILE") and not is_address:
                    wrong.append(f"{name}: {each['name']} is said openly")
    for each in fleet.of("ConfigMap"):
        if re.search(r"(?i)password|requirepass|secret_id|\btokens\b", "".join(each["data"].values())):
            wrong.append(f"{each['metadata']['name']} holds a secret")
    return wrong


def endings(fleet: Fleet) -> list[str]:
    """Who serves goes on until balancers know that it ends; all have the time that they need to finish."""
    wrong = []
    for name, workload, container, program in _ours(fleet):
        spec = workload["spec"]["template"]["spec"]
        told = {each["name"]: each.get("value") for each in container["env"]}
        kind = PROGRAMS[program]
        drain = float(told.get(f"{kind.env_prefix}DRAIN_SECONDS") or kind.model_fields["drain_seconds"].default)
        before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        looks = container["readinessProbe"]
        if any(port["name"] == "http" for port in container["ports"]) and before < looks["periodSeconds"]:
            wrong.append(f"{name} closes its port before anybody knows")
        # It drains, then its sites stop with as much time again.
        needed = before + 2 * drain + UNTIL_CLOSED_SECONDS
        if spec["terminationGracePeriodSeconds"] < needed:
            wrong.append(f"{name} is killed after {spec['terminationGracePeriodSeconds']} s, and needs {needed:g}")
    return wrong


def disruptions(fleet: Fleet) -> list[str]:
    """There is always another: replicas, spread over machines, replaced one by one, and a budget for that."""
    wrong = []
    for name, workload, spec in _workloads(fleet):
        replicas, labels = workload["spec"]["replicas"], workload["spec"]["template"]["metadata"]["labels"]
        budgets = [
            each["spec"].get("maxUnavailable")
            for each in fleet.of("PodDisruptionBudget")
            if each["metadata"]["namespace"] == workload["metadata"]["namespace"]
            and matches(each["spec"]["selector"], labels)
        ]
        if len(budgets) != 1:
            wrong.append(f"{name} has {len(budgets)} budgets")
        elif replicas > 1 and not 0 < budgets[0] <= (replicas - 1) // 2 + (replicas == 2):
            wrong.append(f"{name}: {budgets[0]} of {replicas} may be away")
        if replicas == 1:
            continue
        spread = [
            each["topologyKey"]
            for each in spec.get("topologySpreadConstraints", ())
            if matches(each["labelSelector"], labels)
        ]
        if spread != ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]:
            wrong.append(f"{name} is not spread")
        if not workload["spec"].get("minReadySeconds"):
            wrong.append(f"{name}: the next one goes before one is known to stay ready")
        rolling = workload["spec"].get("strategy", {}).get("rollingUpdate", {"maxUnavailable": 1, "maxSurge": 0})
        serves = any(port["name"] == "http" for each in containers(spec) for port in each["ports"])
        if workload["kind"] == "Deployment" and serves and rolling["maxUnavailable"] != 0:
            wrong.append(f"{name} is replaced before its successor is there")
    return wrong


def addresses(fleet: Fleet) -> list[str]:
    """Addresses that programs are told openly are those of services that are there."""
    wrong = []
    known = {
        (each["metadata"]["namespace"], each["metadata"]["name"], port["port"])
        for each in fleet.of("Service")
        for port in each["spec"]["ports"]
    }
    for name, workload, container, _ in _ours(fleet):
        for each in container["env"]:
            parts = urlsplit(str(each.get("value", "")))
            if parts.scheme not in ("http", "https"):
                continue
            service, _, namespace = (parts.hostname or "").partition(".")
            if (namespace or workload["metadata"]["namespace"], service, parts.port) not in known:
                wrong.append(f"{name}: {each['name']} is {each['value']}, which is no service")
    return wrong


def newcomers(fleet: Fleet) -> list[Pod]:
    """A pod in each namespace of which no policy says anything."""
    port = {"http": (80, "TCP")}
    return [Pod(name, "newcomer", {"new": "yes"}, labels, port) for name, labels in fleet.namespaces().items()]


def outside() -> list[Pod]:
    """Who else there is: those who watch, the names, and a stranger within the cluster."""
    return [
        _outside("monitoring", "app.kubernetes.io/name", "prometheus", {}),
        _outside("kube-system", "k8s-app", "kube-dns", {"dns": (53, "UDP"), "dns-tcp": (53, "TCP")}),
        _outside("elsewhere", "app.kubernetes.io/name", "stranger", {"http": (80, "TCP")}),
    ]


def _outside(namespace: str, label: str, name: str, ports: Mapping[str, tuple[int, str]]) -> Pod:
    return Pod(namespace, name, {label: name}, {"kubernetes.io/metadata.name": namespace}, ports)
