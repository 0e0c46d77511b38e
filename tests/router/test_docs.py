"""docs/router.md tells of every setting, page and metric, and of none that is not there."""

import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import REGISTRY
from pydantic.fields import FieldInfo

from router import metrics
from router.app import Router
from router.pages import Pages
from router.settings import RouterSettings
from runtime import admin


@pytest.fixture(scope="module")
def page(project_root: Path) -> str:
    """The whole page."""
    return (project_root / "docs" / "router.md").read_text(encoding="utf-8")


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of all tables whose first column has this heading."""
    found, inside = [], False
    for line in page.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if inside and not set(cells[0]) <= {"-"}:
            found.append(cells)
        inside = inside or cells[0] == heading
    return found


def default_of(field: FieldInfo) -> str:
    """As one would write it in the environment."""
    value: Any = field.default
    if field.is_required():
        return "required"
    if value is None:
        return "none"
    if value in ("", ()):
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_every_setting_is_told_once_with_its_default(page: str) -> None:
    """A default that changes, and a setting that comes or goes, must be told to whoever runs routers."""
    told = [(name.strip("`").lower(), default) for name, default, _ in rows(page, "setting")]
    there = [(name, default_of(field)) for name, field in RouterSettings.model_fields.items()]
    assert sorted(told) == sorted(there)


def test_what_a_setting_means_is_what_the_router_says_itself(page: str) -> None:
    """The page may say more than the setting's own description, never something else."""
    meanings = {name.strip("`").lower(): meaning.replace("`", "") for name, _, meaning in rows(page, "setting")}
    for name, field in RouterSettings.model_fields.items():
        assert (field.description or "") in meanings[name]
        assert meanings[name]


def test_every_metric_is_told_with_its_labels(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of labels, so that nobody has to try out what can be asked."""
    monkeypatch.setattr(metrics.RESPONSES, "tenants", metrics.BusyTenants(1))
    metrics.of_cell("cell-1").answered(200, 0.001)
    told = {
        name.strip("`"): {label for label in labels.split(", ") if label}
        for name, labels, _ in rows(page, "metric")
    }
    there: dict[str, set[str]] = {}
    labelled = {
        each._name: set(each._labelnames) for each in vars(metrics).values() if hasattr(each, "_labelnames")
    }
    for family in REGISTRY.collect():
        if family.name.startswith("cellway_router_"):
            found = {label for sample in family.samples for label in sample.labels} - {"le"}
            name = family.name + ("_total" if family.type == "counter" else "")
            there[name] = labelled.get(family.name, found)
    assert told == there


async def test_every_page_of_the_admin_port_is_told(page: str, router: Router) -> None:
    """Those that all programs have, and the router's own."""
    application = admin.application(router.health, router.settings)
    Pages(router.table, router.follower, router.look_ups, router.lane).add_to(application)
    there = {_path(resource) for resource in application.router.resources()}
    assert {name.strip("`") for name, _ in rows(page, "page")} == there


def _path(resource: web.AbstractResource) -> str:
    return re.sub(r"{(\w+):[^}]*}", r"{\1}", resource.canonical)
