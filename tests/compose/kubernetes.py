"""Kubernetes manifests as kustomize renders them, and what can be asked of them.

`Fleet` holds the documents of several folders at once, as a cluster would. `reaches` decides as network policies
do: a pod that no policy selects for a direction is open in it, any other takes what one of them allows.
"""

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.programs import require_program

FOLDER = Path(__file__).parents[2] / "compose" / "kubernetes"
Document = dict[str, Any]
WORKLOADS = ("Deployment", "StatefulSet")
RENDER_SECONDS = 60


def render(folder: Path) -> list[Document]:
    """The documents of a folder with a kustomization.yaml."""
    kubectl = require_program("kubectl", "rendering the manifests with kustomize")
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, timeout=RENDER_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@dataclass(frozen=True)
class Pod:
    """What a workload runs, or who else speaks with it."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    namespace_labels: Mapping[str, str]
    ports: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass
class Fleet:
    """Everything that was rendered."""

    documents: list[Document]

    def of(self, *kinds: str) -> Iterator[Document]:
        """Documents of these kinds."""
        return (each for each in self.documents if each["kind"] in kinds)

    def namespaces(self) -> dict[str, dict[str, str]]:
        """Their labels, with the one that Kubernetes adds."""
        return {
            name: {**each["metadata"].get("labels", {}), "kubernetes.io/metadata.name": name}
            for each in self.of("Namespace")
            for name in [each["metadata"]["name"]]
        }

    def pods(self) -> list[Pod]:
        """One for each workload: its replicas are alike."""
        labels = self.namespaces()
        return [_pod(each, labels.get(_namespace(each), {})) for each in self.of(*WORKLOADS)]

    def pod(self, name: str) -> Pod:
        """By `namespace/name`."""
        return next(each for each in self.pods() if str(each) == name)


def _namespace(document: Document) -> str:
    return str(document["metadata"].get("namespace", ""))


def _pod(workload: Document, namespace_labels: Mapping[str, str]) -> Pod:
    template = workload["spec"]["template"]
    ports = {
        port["name"]: (port["containerPort"], port.get("protocol", "TCP"))
        for container in template["spec"]["containers"]
        for port in container.get("ports", ())
    }
    return Pod(
        _namespace(workload),
        workload["metadata"]["name"],
        template["metadata"].get("labels", {}),
        namespace_labels,
        ports,
        template["spec"],
    )


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """A label selector; the empty one takes all."""
    selector = selector or {}
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        _expression(each, labels) for each in selector.get("matchExpressions", ())
    )


def _expression(each: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, wanted = labels.get(each["key"]), each.get("values", [])
    match each["operator"]:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise ValueError(each["operator"])


def reaches(fleet: Fleet, source: Pod, target: Pod, port: int, protocol: str = "TCP") -> bool:
    """Whether the source may open a connection to the target's port."""
    return _allows(fleet, "Egress", source, target, target, port, protocol) and _allows(
        fleet, "Ingress", target, source, target, port, protocol
    )


def _allows(fleet: Fleet, way: str, one: Pod, other: Pod, target: Pod, port: int, protocol: str) -> bool:
    rules, peers = ("egress", "to") if way == "Egress" else ("ingress", "from")
    policies = [
        each["spec"]
        for each in fleet.of("NetworkPolicy")
        if _namespace(each) == one.namespace
        and way in each["spec"]["policyTypes"]
        and matches(each["spec"]["podSelector"], one.labels)
    ]
    if not policies:
        return True
    return any(
        _is_peer(rule.get(peers), other, one.namespace) and _is_port(rule.get("ports"), target, port, protocol)
        for policy in policies
        for rule in policy.get(rules, ())
    )


def _is_peer(peers: Sequence[Mapping[str, Any]] | None, pod: Pod, here: str) -> bool:
    if not peers:
        return True
    return any(_is_one(peer, pod, here) for peer in peers)


def _is_one(peer: Mapping[str, Any], pod: Pod, here: str) -> bool:
    if "ipBlock" in peer:
        raise ValueError("addresses are not looked at here")
    if "namespaceSelector" in peer:
        in_place = matches(peer["namespaceSelector"], pod.namespace_labels)
    else:
        in_place = pod.namespace == here
    return in_place and matches(peer.get("podSelector"), pod.labels)


def _is_port(ports: Sequence[Mapping[str, Any]] | None, target: Pod, port: int, protocol: str) -> bool:
    if not ports:
        return True
    return any(
        each.get("protocol", "TCP") == protocol and _number(each.get("port", port), target) == port
        for each in ports
    )


def _number(port: int | str, target: Pod) -> int | None:
    """A port that is named means the target's; one that it has not is nobody's."""
    return target.ports.get(port, (None, ""))[0] if isinstance(port, str) else port


def fleet_of(folders: Iterable[Path]) -> Fleet:
    """What these folders make together."""
    return Fleet([document for folder in folders for document in render(folder)])
