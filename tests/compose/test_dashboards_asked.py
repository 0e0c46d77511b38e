"""Every expression of dashboards and rules, asked of a real Prometheus that watches a platform at work."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from console.platform.platform import Platform
from console.platform.settings import SYSTEM_PORTS, UpSettings
from tests.compose import exported, watchers
from tests.compose.promql import asked
from tests.compose.test_dashboards import all_expressions
from tests.end_to_end.actors import Developer, Operator
from tests.end_to_end.movers import desk_of
from tests.waiting import eventually

pytestmark = pytest.mark.stack
CELLS = ("cell-1", "cell-2")
SCRAPE_SECONDS = 2
WAITING = frozenset(
    (
        *("cellway_router_snapshots_refused_total", "cellway_router_second_attempts_total"),
        *("cellway_router_retries_refused_total", "cellway_router_aborts_total", "cellway_router_holds_total"),
        *(
            "cellway_cell_fence_refusals_total",
            "cellway_cell_steps_stuck_total",
            "cellway_cell_expired_rows_total",
        ),
        *("cellway_placement_plan_moves_total", "cellway_placement_plans_total", "cellway_placement_ratio"),
        *("cellway_placement_days_until_full", "cellway_placement_pool_used", "cellway_router_look_ups_total"),
        *("cellway_placement_plans_unfinished", "cellway_away", "cellway_migration_source_commit_seconds"),
        *("cellway_migration_pace", "cellway_placement_seen", "cellway_cell_load_tenants_total"),
        *("cellway_router_given_up_total", "cellway_router_cell_not_trusted_total", "cellway_cell_hints_total"),
        *("cellway_cell_jobs_total", "cellway_cell_job_seconds"),
    )
)
"""Their series begin with something that did not happen in a quiet minute: before, a page says what they are."""


@dataclass(frozen=True)
class Watched:
    """A platform at work, its pages by job, and a Prometheus that reads them."""

    prometheus: watchers.Prometheus
    pages: Mapping[str, str]
    home: str
    """Where a tenant was at work when it was asked last."""


def targets(platform: Platform) -> Mapping[str, Sequence[dict[str, Any]]]:
    """Of each job: groups of targets, as the files of the stack have them."""

    def group(name: str, **labels: str) -> dict[str, Any]:
        return {"targets": [f"127.0.0.1:{platform.ports[f'{name} admin']}"], "labels": labels}

    cells = [
        group(f"{cell} {part}", cell=cell, job=job)
        for cell in CELLS
        for part, job in (("api", "cell"), ("worker", "worker"))
    ]
    return {**{job: [group(job)] for job in ("router", "placement", "mover")}, "cell": cells}


def hurried_rules(folder: Path) -> Path:
    """As they are, but that none waits for five minutes."""
    for path in (exported.WATCHED / "rules").iterdir():
        text = path.read_text(encoding="utf-8").replace("interval: 5m", f"interval: {SCRAPE_SECONDS}s")
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


def configuration(platform: Platform, others: Mapping[str, str], rules: Path) -> str:
    """The stack's, with the addresses of here, and read more often."""
    told = yaml.safe_load((exported.WATCHED / "prometheus.yml").read_text(encoding="utf-8"))
    told["global"] |= dict.fromkeys(("scrape_interval", "evaluation_interval"), f"{SCRAPE_SECONDS}s")
    told["global"]["scrape_timeout"] = f"{SCRAPE_SECONDS}s"
    told["rule_files"] = [f"{rules}/*.yaml"]
    del told["alerting"]
    here = targets(platform)
    for job in told["scrape_configs"]:
        for unused in ("file_sd_configs", "authorization"):
            job.pop(unused, None)
        name = job["job_name"]
        job["static_configs"] = here.get(name) or [{"targets": [others[name]] if name in others else []}]
    return yaml.safe_dump(told)


@pytest.fixture(scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    """Two cells, tenants with accounts, namespaces and jobs in both, and one that has moved."""
    folder = tmp_path_factory.mktemp
    async with (
        Platform(folder("platform") / ".cellway", len(CELLS), UpSettings(**SYSTEM_PORTS)) as platform,
        aiohttp.ClientSession() as session,
        watchers.haproxy(folder("haproxy")) as balancer,
        watchers.consul(folder("consul")) as registry,
    ):
        others = {"haproxy": _address(balancer), "consul": _address(registry)}
        told = configuration(platform, others, hurried_rules(folder("rules")))
        async with watchers.prometheus(folder("prometheus"), told) as prometheus:
            tenant = await work(platform, Operator(session, platform))
            pages = {
                job: await _page(str(group["targets"][0]))
                for groups in targets(platform).values()
                for group in groups
                for job in [group["labels"].get("job") or _job(platform, group)]
            }
            await eventually(lambda: _has_levels(prometheus, tenant), seconds=90.0, every=0.5)
            yield Watched(prometheus, pages, tenant.cell_id)


def _job(platform: Platform, group: Mapping[str, Any]) -> str:
    return next(job for job, groups in targets(platform).items() if group in groups)


def _address(url: str) -> str:
    return url.removeprefix("http://").partition("/")[0]


async def _page(address: str) -> str:
    found = await watchers.page(f"http://{address}/metrics")
    assert found is not None
    return found


async def work(platform: Platform, operator: Operator) -> Developer:
    """Requests, jobs, and a move."""
    one = await operator.tenant("acme")
    for number in range(5):
        answer = await one.post("/v1/accounts", {"account_id": f"a-{number}", "display_name": "An account"})
        assert answer.status == 201, answer.body
    space = {"namespace_id": "prod", "display_name": "Production"}
    made = await one.post("/v1/accounts/a-0/namespaces", space)
    assert made.status == 202, made.body
    assert (await one.get(f"/v1/{made.body['name']}:wait?timeout_seconds=20")).status == 200
    async with desk_of(platform) as desk:
        there = await desk.moved("acme", next(cell for cell in CELLS if cell != one.cell_id))
        await desk.moved("acme", one.cell_id, reverses=there)
    assert await watchers.page(f"{platform.url('router')}/t/nobody/v1/accounts") is None
    return one


async def _has_levels(prometheus: watchers.Prometheus, tenant: Developer) -> bool:
    """While it is used: every job is read, and what is recorded of what was recorded is there."""
    assert (await tenant.get("/v1/accounts")).status == 200
    up = await prometheus.ask("query", query="count by (job) (up == 1)")
    jobs = {one["metric"]["job"] for one in up["data"]["result"]}
    assert jobs >= set(exported.PROGRAMS) | {"haproxy", "consul"}
    of_cell = f'{{cell="{tenant.cell_id}"}}'
    for level in (f"cell:cellway_slow_budget:left{of_cell}", f"cell:cellway_requests_failed:ratio3d{of_cell}"):
        assert (await prometheus.ask("query", query=level))["data"]["result"], level
    return True


def _declared(job: str) -> exported.Labels:
    module = exported.PROGRAMS[job]
    return {name: set(labels) for name, labels in exported.declared(module)}


async def test_programs_export_what_they_declare(watched: Watched) -> None:
    """On its page, by that name and with those labels: what the other tests of expressions rest on."""
    assert set(watched.pages) == set(exported.PROGRAMS)
    for job, text in watched.pages.items():
        there = exported.read(text)
        for name, labels in _declared(job).items():
            family = name.removesuffix("_total")
            told = any(f"# TYPE {known} " in text for known in (family, name, exported.family(name)))
            assert told, f"{job}: {name}"
            if name in there:
                assert there[name] - exported.OF_TARGETS == labels, f"{job}: {name}"
        ours = {name for name in there if name.startswith("cellway_") and not name.endswith("_created")}
        assert ours <= set(exported.ours()), job


async def test_prometheus_evaluates_every_rule(watched: Watched) -> None:
    """Two series where one is expected would be an error only once there is data."""
    answer = await watched.prometheus.ask("rules")
    found = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
    assert len(found) == len(list(exported.rules()))
    wrong = {rule["name"]: rule.get("lastError") for rule in found if rule["health"] == "err"}
    assert wrong == {}


async def test_prometheus_answers_every_panel(watched: Watched) -> None:
    """None of them is refused; and each is answered with numbers, but for what has not happened here."""

    async def answered() -> bool:
        refused, empty = {}, {}
        for where, expression in all_expressions(watched.home):
            answer = await watched.prometheus.ask("query", query=expression)
            if answer["status"] != "success" or answer.get("warnings"):
                refused[where] = answer
            elif not where.partition(":")[0].endswith(".yaml") and not answer["data"]["result"]:
                empty[where] = expression
        assert refused == {}
        assert {exported.family(name) for name in exported.ours()} >= WAITING
        assert {where: one for where, one in empty.items() if not _is_rare(one)} == {}
        return True

    # Rates need two samples of what has only just begun.
    await eventually(answered, seconds=60.0, every=1.0)


def _is_rare(expression: str) -> bool:
    """Whether it asks for what begins with an event, of the watchers themselves, or for those above a bound."""
    names = {exported.family(selector.name) for selector in asked(expression).selectors}
    watching = any(name.startswith(("alertmanager_", "prometheus_", "ALERTS")) for name in names)
    bounded = any(sign in expression for sign in (" > 0", "< +Inf", 'status="5xx"'))
    return watching or bounded or bool({*names, *(f"{name}_total" for name in names)} & WAITING)


async def test_a_wrong_panel_would_be_noticed(watched: Watched) -> None:
    """A name that is misspelt is answered with nothing, and one that makes no sense is refused."""
    answer = await watched.prometheus.ask("query", query="sum(rate(cellway_router_request_total[5m]))")
    assert (answer["status"], answer["data"]["result"]) == ("success", [])
    assert not _is_rare("sum(rate(cellway_router_request_total[5m]))")
    assert (await watched.prometheus.ask("query", query="sum by cell (up)"))["status"] == "error"


async def test_nothing_fires_while_all_is_well(watched: Watched) -> None:
    """On a platform at rest. How quick the machine is that the tests have, is not what is tried."""
    answer = await watched.prometheus.ask("query", query='ALERTS{alertstate="firing"}')
    found = {one["metric"]["alertname"] for one in answer["data"]["result"]}
    assert {name for name in found if "SlowBurns" not in name} == {"CellwayWatchdog"}
