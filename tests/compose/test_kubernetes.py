"""The manifests for Kubernetes are what the programs need, and let nobody reach what is none of theirs."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.compose import kubernetes_faults as faults
from tests.compose.kubernetes import FOLDER, Fleet, Pod, fleet_of, reaches

CELLS = ("cell-1", "cell-2", "cell-3")
CHECKS = (
    *(faults.selectors, faults.ports, faults.environments, faults.probes, faults.hardening, faults.images),
    *(faults.secrets, faults.endings, faults.disruptions, faults.addresses, faults.certificates),
)
OLDEST = "1.30"
"""Of Kubernetes, as the README has it; besides, they are judged by the latest version whose schemas there are."""
API = "cellway-cell-2/api"
Reach = set[tuple[str, str, int]]


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return fleet_of([FOLDER / "base", *(FOLDER / "cells" / cell for cell in CELLS)])


@pytest.fixture(scope="module")
def fleet_with_tls(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """With the lines that the README names, and nothing else."""
    lines = [line for line in (FOLDER / "README.md").read_text().splitlines() if line.startswith("components: ")]
    control, cell = lines
    place = tmp_path_factory.mktemp("tls") / "kubernetes"
    shutil.copytree(FOLDER, place)
    folders = {place / "base": control, **{place / "cells" / name: cell for name in CELLS}}
    for folder, line in folders.items():
        with (folder / "kustomization.yaml").open("a") as file:
            file.write(line + "\n")
    return fleet_of(folders)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nothing_is_wrong_with_them(fleet: Fleet, check: Callable[[Fleet], list[str]]) -> None:
    """Each kind of mistake, over the control plane and three cells together."""
    assert check(fleet) == []


def wanted(cells: tuple[str, ...]) -> Reach:
    """Who may reach whom, at which port; nothing else."""
    programs = {"router": 8082, "placement": 8083, "mover": 8004}
    reach: Reach = {("monitoring/prometheus", f"cellway/{name}", port) for name, port in programs.items()}
    reach |= {(f"cellway/{name}", "cellway/consul", 8500) for name in programs}
    reach |= {("cellway/consul", "cellway/consul", port) for port in (8300, 8301)}
    reach |= {(f"cellway/{name}", "cellway/control-postgres", 5432) for name in ("placement", "mover")}
    reach |= {(f"cellway/{name}", "cellway/directory-redis", 6379) for name in ("placement", "router")}
    for cell in cells:
        api, worker, postgres, redis = (
            f"cellway-{cell}/{name}" for name in ("api", "worker", "postgres", "redis")
        )
        reach |= {
            ("cellway/router", api, 8000),
            ("cellway/placement", api, 8001),
            ("cellway/mover", postgres, 5432),
        }
        for program in (api, worker):
            reach |= {(program, postgres, 5432), (program, redis, 6379), (program, "cellway/consul", 8500)}
        reach |= {("monitoring/prometheus", api, 8001), ("monitoring/prometheus", worker, 8002)}
    everybody = {source for source, _, _ in reach} | {target for _, target, _ in reach}
    # Tenants call routers from anywhere, so anybody who may speak to the outside does.
    reach |= {(name, "cellway/router", 8080) for name in ("monitoring/prometheus", "elsewhere/stranger")}
    reach |= {("kube-system/kube-dns", "cellway/router", 8080)}
    namespaces = ("cellway", *(f"cellway-{cell}" for cell in cells))
    ours = {name for name in everybody if not name.startswith("monitoring")}
    ours |= {f"{namespace}/newcomer" for namespace in namespaces}
    names = {(name, "kube-system/kube-dns", 53) for name in (*ours, "monitoring/prometheus", "elsewhere/stranger")}
    strangers = {(name, "elsewhere/stranger", 80) for name in ("monitoring/prometheus", "kube-system/kube-dns")}
    return reach | names | strangers


def found(fleet: Fleet) -> Reach:
    """Everybody with everybody, at every port that somebody listens at."""
    pods: list[Pod] = [*fleet.pods(), *faults.newcomers(fleet), *faults.outside()]
    return {
        (str(source), str(target), port)
        for source in pods
        for target in pods
        for port, protocol in target.ports.values()
        # Replicas of one workload are different pods; those outside are not looked at among themselves.
        if (source is not target or source.spec) and reaches(fleet, source, target, port, protocol)
    }


def test_everybody_reaches_what_it_needs_and_nothing_else(fleet: Fleet) -> None:
    """The table of who may speak with whom, from the policies as a cluster would evaluate them."""
    assert found(fleet) == wanted(CELLS)


def test_no_cell_reaches_another(fleet: Fleet) -> None:
    """Said once more by itself, because it is what cells are for."""
    across = {
        (one, other)
        for one, other, _ in found(fleet)
        if one.startswith("cellway-")
        and other.startswith("cellway-")
        and one.partition("/")[0] != other.partition("/")[0]
    }
    assert across == set()


def test_a_cell_is_added_by_copying_ten_lines(fleet: Fleet, tmp_path: Path) -> None:
    """cell-4 is cell-3's overlay with another number, in a namespace of its own; nobody else has to be told."""
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    text = (FOLDER / "cells" / "cell-3" / "kustomization.yaml").read_text()
    assert len(text.splitlines()) == 10
    place = tmp_path / "kubernetes" / "cells" / "cell-4"
    place.mkdir()
    (place / "kustomization.yaml").write_text(text.replace("cell-3", "cell-4"))
    added = fleet_of([place])
    assert {each["metadata"].get("namespace", "cellway-cell-4") for each in added.documents} == {"cellway-cell-4"}
    assert added.namespaces()["cellway-cell-4"]["cellway/role"] == "cell"
    grown = Fleet([*fleet.documents, *added.documents])
    assert [check(grown) for check in CHECKS] == [[] for _ in CHECKS]
    assert found(grown) == wanted((*CELLS, "cell-4"))


def test_cells_differ_in_their_name_alone(fleet: Fleet) -> None:
    """So what is tried with one holds for all, and the name is what the programs are told."""
    texts = [str(fleet_of([FOLDER / "cells" / cell]).documents).replace(cell, "CELL") for cell in CELLS]
    assert texts[0] == texts[1] == texts[2]
    for cell in CELLS:
        pod = fleet.pod(f"cellway-{cell}/api")
        assert pod.labels["app.kubernetes.io/instance"] == cell


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nothing_is_wrong_with_them_by_tls(fleet_with_tls: Fleet, check: Callable[[Fleet], list[str]]) -> None:
    """The switch is a line for those who call, and a line for each cell."""
    assert check(fleet_with_tls) == []


def test_the_switch_is_thrown_for_all_who_speak_with_cells(fleet: Fleet, fleet_with_tls: Fleet) -> None:
    """API, workers, routers and placement get their folders; who reaches whom, and all else, stays as it was."""
    cells = {f"cellway-{cell}/{name}" for cell in CELLS for name in ("api", "worker")}
    switched = {
        name for name in map(str, fleet_with_tls.pods()) if "TLS_FOLDER" in str(_container(fleet_with_tls, name))
    }
    assert switched == {"cellway/router", "cellway/placement", *cells}
    assert "TLS_FOLDER" not in str(fleet.documents)
    assert found(fleet_with_tls) == found(fleet)
    untouched = [each for each in fleet.documents if each not in fleet_with_tls.documents]
    assert {f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in untouched} == switched


def test_every_secret_is_told_of(fleet: Fleet, fleet_with_tls: Fleet) -> None:
    """Whoever deploys finds in the README each secret that pods mount, and each key that programs read."""
    text = (FOLDER / "README.md").read_text()
    mounted = {
        volume["secret"]["secretName"]
        for pod in fleet_with_tls.pods()
        for volume in pod.spec["volumes"]
        if "secret" in volume
    }
    assert [name for name in sorted(mounted) if f"`{name}`" not in text] == []
    keys = {key for each in faults.secret_keys(fleet).values() for key in each}
    assert [key for key in sorted(keys) if key not in text] == []


def test_a_current_kubernetes_takes_them(fleet: Fleet, fleet_with_tls: Fleet) -> None:
    """Each document by the schema of its kind, strictly: a field that is not known is a mistake."""
    for version in (OLDEST, kubernetes_validate.latest_version()):
        for document in (*fleet.documents, *fleet_with_tls.documents):
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("name", ["replicaCount", "template"])
def test_a_document_that_no_kubernetes_takes_is_found(fleet: Fleet, name: str) -> None:
    """One field too many, or one that is missing."""
    broken = copy.deepcopy(_workload(fleet, API))
    if name in broken["spec"]:
        del broken["spec"][name]
    else:
        broken["spec"][name] = 3
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, OLDEST, strict=True)


def _workload(fleet: Fleet, name: str) -> dict[str, Any]:
    return next(
        each
        for each in fleet.of("Deployment", "StatefulSet")
        if f"{each['metadata']['namespace']}/{each['metadata']['name']}" == name
    )


def _container(fleet: Fleet, name: str) -> dict[str, Any]:
    container: dict[str, Any] = _workload(fleet, name)["spec"]["template"]["spec"]["containers"][0]
    return container


def _document(fleet: Fleet, kind: str, name: str) -> dict[str, Any]:
    return next(
        each
        for each in fleet.of(kind)
        if f"{each['metadata'].get('namespace')}/{each['metadata']['name']}" == name
    )


def _variable(fleet: Fleet, name: str, key: str) -> dict[str, Any]:
    variable: dict[str, Any] = next(each for each in _container(fleet, name)["env"] if each["name"] == key)
    return variable


Plant = Callable[[Fleet], object]
PLANTED: list[tuple[Callable[[Fleet], list[str]], Plant]] = [
    (
        faults.selectors,
        lambda f: _document(f, "Service", API)["spec"]["selector"].update({"app.kubernetes.io/name": "apj"}),
    ),
    (faults.selectors, lambda f: _document(f, "PodDisruptionBudget", API)["spec"].update(selector={})),
    (
        faults.selectors,
        lambda f: _document(f, "NetworkPolicy", "cellway/mover")["spec"]["podSelector"].update(
            matchLabels={"app.kubernetes.io/name": "movers"}
        ),
    ),
    (faults.selectors, lambda f: _workload(f, "cellway/consul")["spec"].update(serviceName="peers")),
    (faults.ports, lambda f: _document(f, "Service", API)["spec"]["ports"][0].update(targetPort="web")),
    (faults.ports, lambda f: _container(f, API)["readinessProbe"]["httpGet"].update(port="adm")),
    (faults.ports, lambda f: _container(f, API)["ports"][0].update(containerPort=8080)),
    (
        faults.ports,
        lambda f: _document(f, "NetworkPolicy", "cellway/router")["spec"]["egress"][2]["ports"][0].update(
            port=8888
        ),
    ),
    (faults.environments, lambda f: _variable(f, API, "CELLWAY_CELL_PORT").update(name="CELLWAY_CELL_PROT")),
    (faults.environments, lambda f: _container(f, "cellway/router")["env"].pop()),
    (faults.environments, lambda f: _variable(f, "cellway/router", "CELLWAY_ROUTER_RATE_SHARE").update(value="2")),
    (
        faults.environments,
        lambda f: _variable(f, "cellway/mover", "CELLWAY_MIGRATION_DIRECTORY_DSN_FILE").update(
            value="/run/secrets/CELLWAY_MIGRATION_DIRECTORY_DSN"
        ),
    ),
    (
        faults.environments,
        lambda f: _workload(f, "cellway-cell-1/worker")["spec"]["template"]["spec"]["volumes"][0]["secret"][
            "items"
        ].pop(),
    ),
    (
        faults.environments,
        lambda f: _workload(f, API)["spec"]["template"]["metadata"]["labels"].pop("app.kubernetes.io/instance"),
    ),
    (faults.probes, lambda f: _container(f, API)["livenessProbe"]["httpGet"].update(path="/healthz")),
    (faults.probes, lambda f: _container(f, API)["livenessProbe"]["httpGet"].update(path="/health/ready")),
    (faults.probes, lambda f: _container(f, "cellway/consul").pop("livenessProbe")),
    (
        faults.certificates,
        lambda f: _container(f, API)["env"].append(
            {"name": "CELLWAY_CELL_TLS_FOLDER", "value": "/run/secrets/tls"}
        ),
    ),
    (faults.certificates, lambda f: _container(f, API)["startupProbe"]["httpGet"].update(scheme="HTTPS")),
    (faults.hardening, lambda f: _container(f, API)["securityContext"].update(readOnlyRootFilesystem=False)),
    (faults.hardening, lambda f: _container(f, API)["securityContext"].pop("capabilities")),
    (
        faults.hardening,
        lambda f: _workload(f, API)["spec"]["template"]["spec"]["securityContext"].update(runAsNonRoot=False),
    ),
    (
        faults.hardening,
        lambda f: _workload(f, API)["spec"]["template"]["spec"].pop("automountServiceAccountToken"),
    ),
    (faults.hardening, lambda f: _container(f, API)["resources"].pop("limits")),
    (faults.images, lambda f: _container(f, API).update(image="registry.example.com/cellway:latest")),
    (faults.images, lambda f: _container(f, API).update(image="registry.example.com/cellway")),
    (faults.secrets, lambda f: f.documents.append({"kind": "Secret", "metadata": {"name": "programs"}})),
    (
        faults.secrets,
        lambda f: _container(f, API)["env"].append({"name": "CELLWAY_CELL_PAGE_KEY", "value": "0123"}),
    ),
    (
        faults.secrets,
        lambda f: _container(f, API)["env"].append(
            {"name": "X", "value": "postgresql://me:password@postgres/cell"}
        ),
    ),
    (faults.endings, lambda f: _container(f, API).pop("lifecycle")),
    (
        faults.endings,
        lambda f: _workload(f, API)["spec"]["template"]["spec"].update(terminationGracePeriodSeconds=30),
    ),
    (
        faults.endings,
        lambda f: _container(f, "cellway/placement")["env"].append(
            {"name": "CELLWAY_PLACEMENT_DRAIN_SECONDS", "value": "60"}
        ),
    ),
    (faults.disruptions, lambda f: _document(f, "PodDisruptionBudget", API)["spec"].update(maxUnavailable=2)),
    (faults.disruptions, lambda f: f.documents.remove(_document(f, "PodDisruptionBudget", API))),
    (faults.disruptions, lambda f: _workload(f, API)["spec"]["template"]["spec"].pop("topologySpreadConstraints")),
    (
        faults.disruptions,
        lambda f: _workload(f, API)["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1),
    ),
    (faults.addresses, lambda f: _variable(f, API, "CELLWAY_CELL_CONSUL_URL").update(value="http://consul:8500")),
]


@pytest.mark.parametrize(
    ("check", "plant"), PLANTED, ids=[f"{n}-{c.__name__}" for n, (c, _) in enumerate(PLANTED)]
)
def test_a_mistake_is_found(fleet: Fleet, check: Callable[[Fleet], list[str]], plant: Plant) -> None:
    """Each planted in a copy that is right otherwise, so what is found is that."""
    broken = Fleet(copy.deepcopy(fleet.documents))
    plant(broken)
    assert check(broken) != []


def _open_to_cells(fleet: Fleet) -> None:
    rule = _document(fleet, "NetworkPolicy", "cellway-cell-1/postgres")["spec"]["ingress"][0]
    rule["from"].append({"namespaceSelector": {"matchLabels": {"cellway/role": "cell"}}})
    egress = _document(fleet, "NetworkPolicy", "cellway-cell-2/programs")["spec"]["egress"][0]["to"]
    egress.append(
        {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "postgres"}}}
    )


HOLES: list[Plant] = [
    _open_to_cells,
    lambda f: f.documents.remove(_document(f, "NetworkPolicy", "cellway-cell-3/nobody")),
    lambda f: f.documents.remove(_document(f, "NetworkPolicy", "cellway/nobody")),
    lambda f: _document(f, "NetworkPolicy", "cellway-cell-1/api")["spec"]["ingress"][0].pop("from"),
    lambda f: _document(f, "NetworkPolicy", "cellway-cell-1/api")["spec"]["ingress"][1].update(
        ports=[{"port": "http"}]
    ),
    lambda f: _document(f, "NetworkPolicy", "cellway/mover")["spec"]["egress"].pop(),
    lambda f: _document(f, "Namespace", "None/cellway-cell-2")["metadata"]["labels"].pop("cellway/role"),
]


@pytest.mark.parametrize("hole", HOLES, ids=range(len(HOLES)))
def test_a_hole_in_the_policies_is_found(fleet: Fleet, hole: Plant) -> None:
    """One that opens too much, and one that shuts somebody out."""
    broken = Fleet(copy.deepcopy(fleet.documents))
    hole(broken)
    assert found(broken) != wanted(CELLS)
