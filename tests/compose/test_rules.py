"""Prometheus' rules: well-formed, tried both ways, and about metrics that there are."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose import exported
from tests.compose.watchers import ran
from tests.programs import require_program

TESTS = sorted((exported.WATCHED / "tests").glob("*.yaml"))
NAME = re.compile(r'alertname="(\w+)"')


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus' own judge."""
    return require_program("promtool", "judging Prometheus' rules")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The folder of rules, to spoil."""
    return shutil.copytree(exported.WATCHED, tmp_path / "prometheus")


@pytest.mark.parametrize("name", ["prometheus.yml", "tls.yml"])
def test_prometheus_reads_its_configuration_and_rules(promtool: str, copied: Path, name: str) -> None:
    """Whole, with its rules and the files that it names; only secrets are stand-ins."""
    configuration = copied / name
    text = configuration.read_text(encoding="utf-8").replace("/run/secrets", str(copied / "secrets"))
    for secret in ("consul-watch-token", "tls/ca.pem", "tls/cert.pem", "tls/key.pem"):
        (copied / "secrets" / secret).parent.mkdir(parents=True, exist_ok=True)
        (copied / "secrets" / secret).write_text("x", encoding="utf-8")
    configuration.write_text(text, encoding="utf-8")
    checked = ran(promtool, "check", "config", configuration)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count("SUCCESS") > len(list((copied / "rules").iterdir()))


def test_with_tls_the_same_is_watched() -> None:
    """The second file is the first one but for how cells are asked."""
    plain, tls = (
        yaml.safe_load((exported.WATCHED / name).read_text(encoding="utf-8"))
        for name in ("prometheus.yml", "tls.yml")
    )
    (cells,) = [job for job in tls["scrape_configs"] if job["job_name"] == "cell"]
    assert cells.pop("scheme") == "https"
    assert set(cells.pop("tls_config")) == {"ca_file", "cert_file", "key_file"}
    assert tls == plain


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_must_and_not_when_they_must_not(promtool: str, path: Path) -> None:
    """Every case that is written down."""
    tried = ran(promtool, "test", "rules", path)
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_an_alert_that_does_not_fire_is_noticed(promtool: str, copied: Path) -> None:
    """The tests of alerts are tests: with another threshold or another metric they fail."""
    rules = copied / "rules" / "cells.yaml"
    good = rules.read_text(encoding="utf-8")
    for right, wrong in (("== 0\n", "< 0\n"), ("cellway_cell_work_due", "cellway_cell_work_dues")):
        rules.write_text(good.replace(right, wrong), encoding="utf-8")
        assert ran(promtool, "test", "rules", copied / "tests" / "cells.yaml").returncode == 1


def _cases() -> Mapping[str, set[bool]]:
    """By alert: whether it is tried firing, and silent."""
    found: dict[str, set[bool]] = {}
    for path in TESTS:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for case in test["promql_expr_test"]:
                (name,) = NAME.findall(case["expr"])
                found.setdefault(name, set()).add(bool(case["exp_samples"]))
    return found


def test_every_alert_is_tried_both_ways() -> None:
    """One that was never seen silent may fire always; the watchdog is to."""
    tried = {name: sides for name, sides in _cases().items() if name != "CellwayWatchdog"}
    assert tried == {name: {True, False} for name in exported.alerts() if name != "CellwayWatchdog"}


@pytest.fixture(scope="module")
def known(others: exported.Labels) -> exported.Labels:
    """Every series that can be asked for."""
    return {**others, **exported.ours(), **exported.recorded()}


def test_rules_ask_only_for_what_is_exported(known: exported.Labels) -> None:
    """A misspelt metric is no error to Prometheus: the alert would never fire."""
    allowed = exported.values()
    wrong = {
        rule.get("alert", rule.get("record")): faults
        for _, rule in exported.rules()
        if (faults := exported.faults(rule["expr"], known, allowed))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(cellway_router_request_total[5m])", "no metric cellway_router_request_total"),
        ('up{zone="a"} == 0', "up has no label zone"),
        ("sum by (tenant) (rate(cellway_router_requests_total[5m]))", "nothing here has a label tenant"),
        ('cellway_placement_moves{phase="COPYED"}', "cellway_placement_moves: phase is never COPYED"),
        ('up{job=~"cell|workers"}', "up: job is never cell|workers"),
        ('cellway_check_ok{check="postgress"}', "cellway_check_ok: check is never postgress"),
        ('a:b{c="d"} and on (cell) up', "no metric a:b"),
    ],
)
def test_a_wrong_name_is_found(known: exported.Labels, expression: str, fault: str) -> None:
    """Of a metric, a label, or one of a label's values."""
    assert exported.faults(expression, known, exported.values()) == [fault]


def test_what_is_promised_is_what_is_measured() -> None:
    """The budgets of burning, of what is left and of the documents are the same."""
    text = " ".join(str(rule["expr"]) for _, rule in exported.rules())
    for budget, level in (("0.0005", "platform:cellway_requests"), ("0.001", "cell:cellway_requests")):
        assert re.search(rf"{level}_failed:ratio1h > 14\.4 \* {budget}\b", text)
        assert re.search(rf"avg_over_time\({level}:rate5m\[30d\]\) > 0\) / {budget}\b", text)
    page = (exported.ROOT / "docs" / "operations" / "watching.md").read_text(encoding="utf-8")
    assert all(f"{share} %" in page for share in ("99.95", "99.9", "99"))


def test_targets_are_the_cells_processes() -> None:
    """A file for each cell, called as the cell, which labels its API and its workers."""
    for path in (exported.WATCHED / "targets").glob("*.yaml"):
        groups: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert [group["labels"] for group in groups] == [
            {"cell": path.stem, "job": "cell"},
            {"cell": path.stem, "job": "worker"},
        ]
        assert all(target.startswith(f"{path.stem}-") for group in groups for target in group["targets"])
