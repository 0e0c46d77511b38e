"""`python -m cell.worker` as an operator runs it: processes, signals, and work of somebody's own."""

import sys
from pathlib import Path

import aiohttp
import psutil
import pytest

from cell.settings import CellSettings
from cell.workflows.all import jobs, workflows
from runtime.errors import SettingsError
from tests.cell.cells import Client, RunningCell
from tests.cell.orchestrator.stage import Stage
from tests.cell.programs import Program, running
from tests.cell.test_operations import ended, provision
from tests.waiting import START_SECONDS, eventually


def children(program: Program) -> list[psutil.Process]:
    """Of that process."""
    return psutil.Process(program.process.pid).children()


async def test_several_processes_are_replaced_when_they_die_and_go_with_their_parent(
    cell: RunningCell, client: Client, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """All of them work; none outlives a parent that was killed."""
    log = tmp_path / "worker.log"
    options = ("--processes", "2", "--threads", "2")
    async with running("cell.worker", cell.settings, log, options=options) as worker:
        await worker.ready(session)
        first, second = await eventually(
            lambda: len(found := children(worker)) == 2 and found, seconds=START_SECONDS
        )
        first.kill()
        await eventually(
            lambda: {each.pid for each in children(worker)} - {first.pid, second.pid}, seconds=START_SECONDS
        )
        begun = await provision(client)

        async def succeeded() -> bool:
            assert (await ended(client, begun)).json["state"] == "SUCCEEDED", log.read_text()
            return True

        await eventually(succeeded, seconds=START_SECONDS)
        left = children(worker)
        worker.kill()
        await eventually(lambda: not any(each.is_running() for each in left))


@pytest.mark.parametrize("options", [("--processes", "0"), ("--threads", "0"), ("--threads", "many")])
async def test_a_number_that_makes_no_sense_is_refused(
    cell: RunningCell, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """At once, in one sentence."""
    log = tmp_path / "worker.log"
    async with running("cell.worker", cell.settings, log, options=options) as worker:
        assert await eventually(worker.process.poll, seconds=START_SECONDS) == 2
    assert "error: " in log.read_text()


OWN = """
from cell.jobs.registry import JobType
from cell.orchestrator.actions import Here
from cell.orchestrator.registry import Bound
from cell.rules.workflows import Step, Workflow

async def act(connection, call):
    return {}

JOBS = [JobType("own_job", Here(act))]
WORKFLOWS = [Bound(Workflow("own_workflow", 1, [Step("only")]), {"only": Here(act)})]
"""


def with_work(settings: CellSettings, work: str) -> CellSettings:
    """The same, with modules of somebody's own."""
    return settings.model_copy(update={"work": work})


def test_modules_of_ones_own_add_to_what_workers_know(
    cell: RunningCell, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their jobs and workflows stand beside those of the cell."""
    (tmp_path / "own_work.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    settings = with_work(cell.settings, " own_work ,")
    assert jobs(settings).get("own_job") is not None
    assert workflows(settings, stage.pool).get("own_workflow", 1) is not None
    assert workflows(settings, stage.pool).get("provision_namespace", 1) is not None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("import nothing_of_that_name", "cannot be imported"),
        ("WORKFLOWS = JOBS = ['a']", "'a'"),
        (OWN + "\nJOBS = JOBS + JOBS", "twice"),
        (OWN + "\nWORKFLOWS = WORKFLOWS + WORKFLOWS", "twice"),
    ],
)
def test_a_module_that_is_not_what_it_should_be_is_named(
    cell: RunningCell, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, what: str
) -> None:
    """The worker does not start, and says why."""
    (tmp_path / "broken_work.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_work", raising=False)
    settings = with_work(cell.settings, "broken_work")

    def know_all() -> None:
        jobs(settings)
        workflows(settings, stage.pool)

    with pytest.raises(SettingsError, match=what):
        know_all()
