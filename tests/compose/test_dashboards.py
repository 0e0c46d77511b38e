"""Dashboards: whoever opens one understands each panel, and each panel asks for what there is."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose import exported
from tests.compose.promql import asked

FOLDER = exported.ROOT / "compose" / "grafana"
BOARDS: Mapping[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (FOLDER / "dashboards").glob("*.json")
}
COUNTS = "short"


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those that show something."""
    return [panel for panel in board["panels"] if panel["type"] not in ("row", "alertlist")]


def expressions() -> Iterator[tuple[str, str]]:
    """(where, expression) of all panels and annotations."""
    for name, board in BOARDS.items():
        for panel in panels(board):
            for target in panel["targets"]:
                yield f"{name}: {panel['title']}", target["expr"]
        for annotation in board["annotations"]["list"]:
            yield f"{name}: {annotation['name']}", annotation["expr"]
        for variable in board["templating"]["list"]:
            yield f"{name}: ${variable['name']}", _selected(variable)


def _selected(variable: Mapping[str, Any]) -> str:
    """`label_values(up{…}, cell)` as PromQL."""
    selector, _, label = variable["definition"].removeprefix("label_values(").rstrip(")").rpartition(",")
    return f"count by ({label.strip()}) ({selector})"


def test_there_is_a_dashboard_for_each_question() -> None:
    """And they lead to each other."""
    assert set(BOARDS) == {"fleet", "cell", "router", "migration", "placement", "control"}
    uids = {board["uid"] for board in BOARDS.values()}
    assert uids == {f"cellway-{name}" for name in BOARDS}
    for board in BOARDS.values():
        assert {link["url"].removeprefix("/d/") for link in board["links"]} == uids - {board["uid"]}


@pytest.mark.parametrize("name", BOARDS)
def test_a_panel_has_a_unit_a_description_and_a_legend(name: str) -> None:
    """A number without a unit, or a line without a name, is a riddle at night."""
    board = BOARDS[name]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}


@pytest.mark.parametrize("name", BOARDS)
def test_panels_lie_side_by_side(name: str) -> None:
    """Not over each other, and not beyond the edge."""
    taken: dict[tuple[int, int], str] = {}
    for panel in BOARDS[name]["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_run_books_are_named_and_are_there(name: str) -> None:
    """Whoever looks at a dashboard has something to do."""
    about = BOARDS[name]["description"]
    books = [word.strip(".,") for word in about.partition("Run books: ")[2].split()]
    assert books
    assert all(book.startswith("docs/") and book.endswith(".md") for book in books)


def test_no_variable_is_a_tenant() -> None:
    """A list of a million, asked of Prometheus at each look, would help nobody. Few panels name tenants at all."""
    for board in BOARDS.values():
        assert {variable["name"] for variable in board["templating"]["list"]} <= {"cell", "router"}
    naming = {expression for _, expression in expressions() if "tenant" in asked(expression).labels}
    assert all(expression.startswith("topk(10, ") for expression in naming)


def test_counts_of_time_are_not_shown_as_plain_numbers() -> None:
    """Seconds are seconds, bytes are bytes: by the name of what is asked for."""
    for name, board in BOARDS.items():
        for panel in panels(board):
            unit = panel["fieldConfig"]["defaults"]["unit"]
            for target in panel["targets"]:
                metrics = {selector.name for selector in asked(target["expr"]).selectors}
                if target["expr"].startswith("histogram_quantile") and unit == COUNTS:
                    pytest.fail(f"{name}: {panel['title']}")
                if any(metric.endswith("_bytes") for metric in metrics):
                    assert unit == "bytes", panel["title"]


@pytest.fixture(scope="module")
def known(others: exported.Labels) -> exported.Labels:
    """Every series that can be asked for."""
    return {**others, **exported.ours(), **exported.recorded()}


def test_panels_ask_only_for_what_is_exported(known: exported.Labels) -> None:
    """A misspelt metric is an empty panel, and an empty panel looks like peace."""
    allowed = exported.values()
    wrong = {
        where: found
        for where, expression in expressions()
        if (found := exported.faults(expression, known, allowed))
    }
    assert wrong == {}


def test_a_wrong_name_is_found_in_every_panel(known: exported.Labels) -> None:
    """Whichever metric, and whichever label, is misspelt: the test before is one."""
    allowed = exported.values()
    for where, expression in expressions():
        found = asked(expression)
        for name in {one.name for one in found.selectors}:
            assert exported.faults(expression.replace(name, f"{name}s"), known, allowed), where
        for label in {label for one in found.selectors for label in one.matchers}:
            misspelt = re.sub(rf"\b{label}(?=\s*[=!])", f"{label}s", expression)
            assert exported.faults(misspelt, known, allowed), where
        for label in found.labels - {"le"}:
            assert exported.faults(re.sub(rf"\b{label}(?=[,)])", f"{label}s", expression), known, allowed), where


def test_legends_name_labels_that_are_there(known: exported.Labels) -> None:
    """Of what is asked for, and not summed away."""
    for name, board in BOARDS.items():
        for panel in panels(board):
            for target in panel["targets"]:
                found = asked(target["expr"])
                there = found.labels or set().union(*(known[one.name] for one in found.selectors))
                named = {part.partition("}}")[0] for part in target["legendFormat"].split("{{")[1:]}
                assert named <= there, f"{name}: {panel['title']}"


def test_every_metric_of_ours_is_shown_or_alerted_by() -> None:
    """What nobody sees is not worth counting; what is left out is left out on purpose."""
    wanted = [expression for _, expression in expressions()] + [rule["expr"] for _, rule in exported.rules()]
    seen = {exported.family(selector.name) for expression in wanted for selector in asked(expression).selectors}
    there = {exported.family(name) for name in exported.ours() if name.startswith("cellway_")}
    assert there - seen == {"cellway_placement_cells"}  # the same as one sees of cells one by one


def test_grafana_finds_its_dashboards_and_where_to_ask() -> None:
    """The uid in each panel is that of the data source."""
    sources = _read(FOLDER / "provisioning" / "datasources" / "prometheus.yaml")["datasources"]
    assert {source["uid"]: source["url"] for source in sources} == {
        "prometheus": "http://prometheus:9090",
        "alertmanager": "http://alertmanager:9093",
    }
    (provider,) = _read(FOLDER / "provisioning" / "dashboards" / "cellway.yaml")["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana-dashboards"


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def all_expressions(cell_id: str) -> Iterable[tuple[str, str]]:
    """Of dashboards and of rules, ready to be asked: about this cell, and all routers."""
    for where, expression in expressions():
        yield where, expression.replace("$cell", cell_id).replace("$router", ".*")
    for file, rule in exported.rules():
        yield f"{file}: {rule.get('alert', rule.get('record'))}", rule["expr"]
