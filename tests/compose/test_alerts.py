"""Who is told of which alert, what it says, and what stays silent when a cell is down."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from runtime.embedded import ports
from tests.compose import exported
from tests.compose.watchers import HOST, MANAGER, alertmanager, ran
from tests.programs import require_program
from tests.waiting import eventually

RECEIVERS = {
    ("platform", "page"): "on-call",
    ("platform", "ticket"): "on-call-queue",
    ("platform", "none"): "nobody",
    ("tenant", "ticket"): "support",
}
CONFIGURATION = MANAGER / "alertmanager.yml"
ALERTS = exported.alerts()


@pytest.fixture(scope="module")
def amtool() -> str:
    """Alertmanager's own judge."""
    return require_program("amtool", "judging who is told of alerts")


def test_alertmanager_reads_its_configuration(amtool: str) -> None:
    """With its templates."""
    checked = ran(amtool, "check-config", CONFIGURATION)
    assert checked.returncode == 0, checked.stderr
    assert "1 templates" in checked.stdout


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_to_do_and_where_it_is_written(name: str) -> None:
    """Whoever is woken reads two sentences and a run book."""
    rule = ALERTS[name]
    told, labels = rule["annotations"], rule["labels"]
    assert set(told) == {"summary", "description", "runbook"}
    assert (labels["layer"], labels["severity"]) in RECEIVERS
    assert 10 < len(told["summary"]) < 120
    assert len(told["description"]) > 50
    assert (exported.ROOT / told["runbook"]).is_file()
    page = (exported.ROOT / "docs" / "operations" / "watching.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page


def test_alerts_of_tenants_do_not_wake_anybody() -> None:
    """And name no tenant, but for the few that routers name."""
    of_tenants = {name: rule for name, rule in ALERTS.items() if rule["labels"]["layer"] == "tenant"}
    assert of_tenants
    assert all(name.startswith("CellwayTenant") for name in of_tenants)
    assert {rule["labels"]["severity"] for rule in of_tenants.values()} == {"ticket"}
    naming = {name for name, rule in ALERTS.items() if "tenant)" in rule["expr"]}
    assert naming == {"CellwayTenantFloods"}


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_finds_its_receiver(amtool: str, name: str) -> None:
    """The platform's whoever is on call, tenants' support."""
    of_cell = {"cell": "cell-1"} if name.startswith(("CellwayCell", "CellwayTenant")) else {}
    labels = {**ALERTS[name]["labels"], "alertname": name, **of_cell}
    receiver = RECEIVERS[labels["layer"], labels["severity"]]
    command = ["config", "routes", "test", f"--config.file={CONFIGURATION}", f"--verify.receivers={receiver}"]
    routed = ran(amtool, *command, *(f"{label}={value}" for label, value in labels.items()))
    assert routed.returncode == 0, routed.stdout


def test_a_wrong_receiver_is_noticed(amtool: str) -> None:
    """The tool's verdict is one."""
    command = ["config", "routes", "test", f"--config.file={CONFIGURATION}", "--verify.receivers=support"]
    assert ran(amtool, *command, "layer=platform", "severity=page").returncode == 1


def test_a_message_says_which_cell_what_to_do_and_where_it_is_written(amtool: str, tmp_path: Path) -> None:
    """Of one alert its summary is the title; of several, how many they are."""
    alert = {"status": "firing", "labels": {"cell": "cell-1"}}
    alert["annotations"] = {"summary": "it is down", "description": "bring it back", "runbook": "lose-a-cell.md"}
    told: dict[str, Any] = {"status": "firing", "alerts": [alert], "commonLabels": alert["labels"]}
    one = _rendered(amtool, tmp_path, {**told, "commonAnnotations": alert["annotations"]})
    assert one == "cell-1: it is down | it is down\nbring it back\nRun book: lose-a-cell.md"
    two = _rendered(amtool, tmp_path, {**told, "status": "resolved", "alerts": [alert] * 2})
    assert two.startswith("Over: cell-1: 2 alerts | it is down\n")


def _rendered(amtool: str, folder: Path, told: Mapping[str, Any]) -> str:
    data = folder / "told.json"
    data.write_text(json.dumps(told), encoding="utf-8")
    text = '{{ template "cellway.title" . }} | {{ template "cellway.text" . }}'
    words = [f"--template.glob={MANAGER / 'templates' / '*.tmpl'}", f"--template.data={data}"]
    rendered = ran(amtool, "template", "render", *words, f"--template.text={text}")
    assert rendered.returncode == 0, rendered.stderr
    return rendered.stdout.strip()


def test_secrets_are_read_from_files() -> None:
    """None is in the configuration, and no address that could be one."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    receivers = yaml.safe_load(text)["receivers"]
    keys = {key for one in receivers for kind in one.values() if isinstance(kind, list) for key in kind[0]}
    assert {"routing_key_file", "api_url_file"} <= keys
    assert not {"routing_key", "service_key", "api_url", "url"} & keys
    assert "http" not in text.replace("https://", "http://").partition("receivers:")[2]


@dataclass
class Ears:
    """Whoever is told, in place of pagers and chats: by receiver, the messages."""

    heard: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def hear(self, request: web.Request) -> web.Response:
        self.heard.setdefault(request.match_info["receiver"], []).append(await request.json())
        return web.Response()

    def names(self, receiver: str) -> set[tuple[str, str]]:
        """(alert, cell) of all that this receiver was told."""
        alerts = [alert["labels"] for message in self.heard.get(receiver, []) for alert in message["alerts"]]
        return {(labels["alertname"], labels.get("cell", "")) for labels in alerts}


@dataclass(frozen=True)
class Manager:
    """An Alertmanager with our routes and inhibitions, whose messages come to `ears`, at once."""

    url: str
    ears: Ears

    async def fire(self, *alerts: tuple[str, Mapping[str, str]]) -> None:
        """By name, with the labels that its rule gives it and these."""
        body = [
            {"labels": {"alertname": name, **ALERTS[name]["labels"], **labels}, "annotations": {"summary": name}}
            for name, labels in alerts
        ]
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/api/v2/alerts", json=body) as response,
        ):
            assert response.status == 200, await response.text()

    async def silenced(self) -> Sequence[tuple[str, str]]:
        """(alert, cell) of those that another one keeps silent."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/v2/alerts", params={"inhibited": "true"}) as response,
        ):
            found = json.loads(await response.text())
        return sorted(
            (one["labels"]["alertname"], one["labels"].get("cell", ""))
            for one in found
            if one["status"]["inhibitedBy"]
        )


def _hurried(route: dict[str, Any]) -> None:
    """Who waits for others to come along waits a moment; support, as shipped, longer than whoever is on call."""
    waits = route.get("group_wait")
    if waits:
        route["group_wait"] = "2s" if waits.endswith("m") else "300ms"
        route["group_interval"] = "300ms"
    for child in route.get("routes", ()):
        _hurried(child)


@asynccontextmanager
async def listening(ears: Ears) -> AsyncIterator[int]:
    """Hears at this port."""
    application, port = web.Application(), ports.free_port(HOST)
    application.router.add_post("/{receiver}", ears.hear)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    try:
        yield port
    finally:
        await runner.cleanup()


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    """The real one, whose configuration has other receivers and less patience, and is the same otherwise."""
    folder = shutil.copytree(MANAGER, tmp_path / "alertmanager")
    told, ears = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8")), Ears()
    _hurried(told["route"])
    async with listening(ears) as port:
        for receiver in told["receivers"]:
            url = f"http://{HOST}:{port}/{receiver['name']}"
            hooks = {} if receiver["name"] == "nobody" else {"webhook_configs": [{"url": url}]}
            for kind in set(receiver) - {"name"}:
                del receiver[kind]
            receiver.update(hooks)
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(told), encoding="utf-8")
        async with alertmanager(folder) as url:
            yield Manager(url, ears)


ONE, TWO = {"cell": "cell-1"}, {"cell": "cell-2"}


async def test_when_a_cell_is_down_its_tenants_alerts_stay_silent(manager: Manager) -> None:
    """And the rest of what is told of that cell; of other cells everything is told as before."""
    tenants = {name for name, rule in ALERTS.items() if rule["labels"]["layer"] == "tenant"}
    of_cells = sorted(tenants - {"CellwayTenantsLimited", "CellwayTenantFloods"})
    await manager.fire(
        *((name, labels) for name in of_cells for labels in (ONE, TWO)),
        *(("CellwayCellBudgetBurnsFast", labels) for labels in (ONE, TWO)),
        ("CellwayTenantFloods", {"tenant": "acme"}),
        ("CellwayCellDown", ONE),
    )
    expected = sorted([*((name, "cell-1") for name in of_cells), ("CellwayCellBudgetBurnsFast", "cell-1")])
    assert await manager.silenced() == expected

    def all_told() -> bool:
        return len(manager.ears.names("support")) > len(of_cells)

    await eventually(all_told, seconds=20.0)
    assert manager.ears.names("support") == {*((name, "cell-2") for name in of_cells), ("CellwayTenantFloods", "")}
    assert manager.ears.names("on-call") == {
        ("CellwayCellDown", "cell-1"),
        ("CellwayCellBudgetBurnsFast", "cell-2"),
    }
    groups = [message["groupLabels"] for message in manager.ears.heard["support"]]
    assert {"cell": "cell-2"} in groups
    assert "on-call-queue" not in manager.ears.heard


async def test_a_tenants_alert_that_came_first_is_not_told_once_its_cell_is_down(manager: Manager) -> None:
    """Support waits longer than it takes to know that a cell is down."""
    await manager.fire(("CellwayTenantStepStuck", {**ONE, "workflow": "trial", "step": "account"}))
    await asyncio.sleep(0.5)  # as much earlier it came; support is told after two seconds
    await manager.fire(("CellwayCellDown", ONE))
    await eventually(lambda: manager.ears.names("on-call"), seconds=20.0)
    await asyncio.sleep(2.5)  # nothing can be waited for that is not to happen
    assert "support" not in manager.ears.heard


INHIBITED = [
    ("CellwayNoRouter", {}, "CellwayBudgetBurnsFast", {}, True),
    ("CellwayNoRouter", {}, "CellwayCellSlowBurnsFast", ONE, True),
    ("CellwayNoRouter", {}, "CellwayTenantsRefused", ONE, True),
    ("CellwayBalancerDown", {}, "CellwayRouterDown", {"instance": "r1"}, True),
    ("CellwayNoRouter", {}, "CellwayCellDown", ONE, False),
    ("CellwayControlDatabaseAway", {}, "CellwayNobodyLeads", {"resource": "placement"}, True),
    ("CellwayControlDatabaseAway", {}, "CellwayTenantWaitsForSwitch", {"phase": "FENCING"}, False),
    ("CellwayControlDatabaseAway", {}, "CellwayTenantJobsDead", ONE, False),
    ("CellwayDirectoryRedisAway", {}, "CellwayRouterBehind", {"instance": "r1"}, True),
    ("CellwayBudgetBurnsFast", {}, "CellwayBudgetBurnsSlowly", {}, True),
    ("CellwayCellBudgetBurnsFast", ONE, "CellwayCellBudgetBurnsSlowly", ONE, True),
    ("CellwayCellBudgetBurnsFast", ONE, "CellwayCellBudgetBurnsSlowly", TWO, False),
    ("CellwayCellDown", ONE, "CellwayNobodyLeads", {"resource": "placement"}, False),
]


async def test_what_explains_others_keeps_them_silent_and_nothing_else(manager: Manager) -> None:
    """Each pair by itself would be the same: the causes are in no cell, or in one that is told of."""
    for number, (cause, its_labels, effect, labels, silent) in enumerate(INHIBITED):
        await _alone(manager, number, (cause, its_labels), (effect, labels), silent=silent)


async def _alone(
    manager: Manager,
    number: int,
    cause: tuple[str, Mapping[str, str]],
    effect: tuple[str, Mapping[str, str]],
    *,
    silent: bool,
) -> None:
    await manager.fire(cause, effect)
    assert (effect[0] in dict(await manager.silenced())) is silent, (number, cause, effect)
    ended = [
        {"labels": {"alertname": name, **ALERTS[name]["labels"], **labels}, "endsAt": "2020-01-01T00:00:00Z"}
        for name, labels in (cause, effect)
    ]
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{manager.url}/api/v2/alerts", json=ended) as response,
    ):
        assert response.status == 200, await response.text()

    async def over() -> bool:
        return not await manager.silenced()

    await eventually(over)
