"""Which metrics, labels and values there are, and what is wrong with an expression that asks for others."""

import re
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from types import ModuleType
from typing import Any, Final, get_args

import yaml
from prometheus_client import Counter, Gauge, Histogram

import cell.metrics
import migration.metrics
import placement.metrics
import router.metrics
import runtime.metrics
from directory.rules.planning import PlanState
from directory.values import MovePhase
from runtime.tls import credentials
from tests.compose.promql import Asked, asked

ROOT: Final = Path(__file__).parents[2]
WATCHED: Final = ROOT / "compose" / "prometheus"
PROGRAMS: Final[Mapping[str, ModuleType]] = {
    "router": router.metrics,
    "cell": cell.metrics,
    "worker": cell.metrics,
    "placement": placement.metrics,
    "mover": migration.metrics,
}
"""By job."""
OF_TARGETS: Final = frozenset(("job", "instance"))
OF_CELLS: Final = frozenset(("cell",))
PROCESS: Final = ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds")
SAMPLE: Final = re.compile(r"^([a-zA-Z_:][\w:]*)(\{.*\})? ", re.MULTILINE)
LABEL: Final = re.compile(r'(\w+)="')
CHECK: Final = re.compile(r'health\.add\(\s*"([^"]+)"')
ABSENT: Final = re.compile(r'Absence\([^"]*"([^"]+)"')

Labels = Mapping[str, Set[str]]
"""By the name of a series, as it is asked for."""


def ours() -> Labels:
    """What our programs declare, with the labels that their targets have."""
    found: dict[str, set[str]] = {"up": {*OF_TARGETS, *OF_CELLS}}
    for job, module in PROGRAMS.items():
        targets = OF_TARGETS | (OF_CELLS if job in ("cell", "worker") else set())
        of_all = (*declared(runtime.metrics), *declared(credentials), *((name, ()) for name in PROCESS))
        for name, labels in (*of_all, *declared(module)):
            found.setdefault(name, set()).update(labels, targets)
    found["ALERTS"] = {"alertname", "alertstate", "severity", "layer", *OF_CELLS, *OF_TARGETS}
    return found


def declared(module: ModuleType) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Series of a program's metrics.py, and their labels."""
    for value in vars(module).values():
        if isinstance(value, Counter | Gauge | Histogram):
            yield from _series(value)
    if module is router.metrics:
        yield from _collected()


def _series(metric: Any) -> Iterable[tuple[str, tuple[str, ...]]]:
    name, labels = metric._name, tuple(metric._labelnames)
    if isinstance(metric, Histogram):
        yield from ((f"{name}_count", labels), (f"{name}_sum", labels), (f"{name}_bucket", (*labels, "le")))
    else:
        yield (f"{name}_total" if isinstance(metric, Counter) else name), labels


def _collected() -> Iterable[tuple[str, tuple[str, ...]]]:
    """What the router keeps as plain numbers: told by an example."""
    router.metrics.of_cell("cell-1").answered(200, 0.001)
    responses = router.metrics._Responses()
    responses.tenants = router.metrics.BusyTenants(1)
    for family in responses.collect():
        for sample in family.samples:
            yield sample.name, tuple(sample.labels)


def read(page: str, *, of_cell: bool = False) -> Labels:
    """What a page of a real program has."""
    targets = OF_TARGETS | (OF_CELLS if of_cell else set())
    found: dict[str, set[str]] = {}
    for name, labels in SAMPLE.findall(page):
        found.setdefault(name, set()).update(LABEL.findall(labels), targets)
    return found


def family(name: str) -> str:
    """Of a histogram's series the histogram."""
    return name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")


def recorded() -> Labels:
    """What our own rules record: the level before the colon says by which labels."""
    names = [rule["record"] for _, rule in rules() if "record" in rule]
    return {name: {"cell"} if name.startswith("cell:") else set() for name in names}


def rules() -> Iterable[tuple[str, Mapping[str, Any]]]:
    """All rules, and the file of each."""
    for path in sorted((WATCHED / "rules").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                yield path.name, rule


def alerts() -> Mapping[str, Mapping[str, Any]]:
    """All alerts, by name."""
    return {rule["alert"]: rule for _, rule in rules() if "alert" in rule}


def values() -> Mapping[str, Set[str]]:
    """Of labels of which all values are known."""
    sources = [
        path.read_text(encoding="utf-8")
        for package in ("runtime", "directory", "router", "cell", "placement", "migration")
        for path in (ROOT / package).rglob("*.py")
    ]
    configuration = yaml.safe_load((WATCHED / "prometheus.yml").read_text(encoding="utf-8"))
    bounds = {f"{bound:g}" for module in PROGRAMS.values() for bound in _bounds(module)}
    return {
        "job": {config["job_name"] for config in configuration["scrape_configs"]} | {"worker"},
        "phase": set(get_args(MovePhase)),
        "state": set(get_args(PlanState)),
        "check": {name for source in sources for name in CHECK.findall(source)} | {"draining"},
        "what": {name for source in sources for name in ABSENT.findall(source)},
        "le": bounds | {"+Inf"},
        "status": {f"{digit}xx" for digit in range(1, 6)} | {str(number) for number in range(100, 600)},
        "severity": {"page", "ticket", "none"},
        "layer": {"platform", "tenant"},
        "automatic": {"yes", "no"},
        "estimate": {"earliest", "likely", "latest"},
        "alertstate": {"firing", "pending"},
    }


def _bounds(module: ModuleType) -> Iterable[float]:
    if module is router.metrics:
        yield from router.metrics.BOUNDS_SECONDS
    for value in vars(module).values():
        if isinstance(value, Histogram):
            yield from value._upper_bounds


def faults(expression: str, known: Labels, allowed: Mapping[str, Set[str]]) -> list[str]:
    """What it asks for that there is not. Variables of dashboards (`$cell`) may be anything."""
    wanted: Asked = asked(expression)
    found, there = [], set()
    for selector in wanted.selectors:
        labels = known.get(selector.name)
        if labels is None:
            found.append(f"no metric {selector.name}")
            continue
        there |= labels
        for label, (operator, value) in selector.matchers.items():
            if label not in labels:
                found.append(f"{selector.name} has no label {label}")
            elif label in allowed and not value.startswith("$") and not _is_met(operator, value, allowed[label]):
                found.append(f"{selector.name}: {label} is never {value}")
    unknown = wanted.labels - there if wanted.selectors else set()
    return found + [f"nothing here has a label {label}" for label in sorted(unknown)]


def _is_met(operator: str, value: str, known: Set[str]) -> bool:
    if operator in ("=", "!="):
        return value in known
    return all(any(re.fullmatch(part, one) for one in known) for part in value.split("|"))
