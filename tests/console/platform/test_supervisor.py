"""The supervisor, with real programs and without servers."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from console.platform.errors import PartFailed
from console.platform.parts import Program, ProgramPart, last_words
from console.platform.states import State
from console.platform.supervisor import Status, Supervisor
from runtime.embedded.ports import free_port
from tests.console.platform.stage import ask, stand_ins


class Stage:
    """Programs that need each other, and what was heard of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.heard: list[tuple[str, State]] = []

    def part(self, name: str, *needs: str, rank: int = 1, command: tuple[str, ...] | None = None) -> ProgramPart:
        port = free_port()
        told = {"CELLWAY_ROUTER_ADMIN_PORT": str(port), "STAND_IN_FOLDER": str(self.folder)}
        program = Program(name, command or stand_ins().router, told, None, port, needs, rank)
        return ProgramPart(program, self.folder / f"{name}.log", self.folder / f"{name}.process")

    @asynccontextmanager
    async def running(self, *parts: ProgramPart) -> AsyncIterator[Supervisor]:
        def tell(status: Status) -> None:
            self.heard.append((status.name, status.state))

        supervisor = Supervisor(parts, tell)
        supervisor.begin()
        try:
            yield supervisor
        finally:
            await supervisor.stop()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_a_part_starts_when_what_it_needs_is_ready(stage: Stage) -> None:
    """And parts stop by rank, the highest first."""
    parts = stage.part("front", "back", rank=2), stage.part("back")
    async with stage.running(*parts) as supervisor:
        await supervisor.until_ready(("front", "back"), 20)
    assert stage.heard.index(("back", State.READY)) < stage.heard.index(("front", State.STARTING))
    assert stage.heard.index(("front", State.STOPPED)) < stage.heard.index(("back", State.STOPPING))


async def test_a_part_that_is_killed_comes_back_and_is_counted(stage: Stage) -> None:
    """Its neighbour is not touched."""
    async with stage.running(stage.part("a"), stage.part("b")) as supervisor:
        await supervisor.until_ready(("a", "b"), 20)
        before = supervisor.status("a"), supervisor.status("b")
        os.kill(before[0].pid or 0, signal.SIGKILL)
        await supervisor.until(lambda: supervisor.status("a").restarts == 1, 20)
        assert supervisor.status("a").remark == "ended by SIGKILL"
        await supervisor.until_ready(("a",), 20)
        assert supervisor.status("a").pid != before[0].pid
        assert supervisor.status("b") == before[1]
        assert await ask(f"http://127.0.0.1:{supervisor.status('a').port}/") == {"kind": "router", "cell": None}


async def test_a_part_that_will_not_start_is_one_sentence(stage: Stage) -> None:
    """With its last words; it is tried a few times, in case that it passes."""
    (stage.folder / "router.refuses").write_text("router: Port 8080 is taken by another program")
    async with stage.running(stage.part("a")) as supervisor:
        with pytest.raises(PartFailed, match="a ended with code 1: router: Port 8080 is taken by another"):
            await supervisor.until_ready(("a",), 20)
        assert supervisor.status("a").state is State.FAILED
    assert stage.heard.count(("a", State.STARTING)) == 3


async def test_a_part_whose_settings_are_wrong_is_not_tried_again(stage: Stage) -> None:
    """It says so by its exit code."""
    refuses = (sys.executable, "-c", "import sys; print('PORT: missing'); sys.exit(2)")
    async with stage.running(stage.part("a", command=refuses)) as supervisor:
        with pytest.raises(PartFailed, match="a ended with code 2: PORT: missing"):
            await supervisor.until_ready(("a",), 20)
    assert stage.heard.count(("a", State.STARTING)) == 1


async def test_parts_can_be_stopped_while_they_start(stage: Stage) -> None:
    """Nothing is left running, and nobody waits for a readiness that does not come."""
    silent = (sys.executable, "-c", "import signal; signal.pause()")
    part = stage.part("a", command=silent)
    async with stage.running(part) as supervisor:
        await supervisor.until(lambda: supervisor.status("a").state is State.STARTING, 20)
    assert supervisor.status("a").state is State.STOPPED
    assert part.pid is None


async def test_one_who_waits_too_long_is_told_for_whom(stage: Stage) -> None:
    """The names of the parts that are late."""
    silent = (sys.executable, "-c", "import signal; signal.pause()")
    async with stage.running(stage.part("slow", command=silent)) as supervisor:
        with pytest.raises(PartFailed, match=r"Not ready within 0\.2 s: slow"):
            await supervisor.until_ready(("slow",), 0.2)


def test_the_last_words_are_those_that_explain() -> None:
    """A line of JSON becomes a sentence; of a traceback, its last line."""
    assert last_words(['{"event": "task_died", "error": "Boom()", "level": "error"}']) == "task_died: Boom()"
    assert (
        last_words(["Traceback (most recent call last):", '  File "x"', "ValueError: no", ""]) == "ValueError: no"
    )
    assert last_words([]) == ""


async def test_a_part_that_is_held_stays_down_until_it_is_released(stage: Stage) -> None:
    """Faults are tried out on a running platform: what is held must not come back by itself."""
    parts = stage.part("one"), stage.part("two")
    async with stage.running(*parts) as supervisor:
        await supervisor.until_ready(("one", "two"), 20)
        await supervisor.hold(["one"])
        os.kill(supervisor.status("two").pid or 0, signal.SIGKILL)
        await supervisor.until(lambda: supervisor.status("two").restarts == 1, 10)
        await supervisor.until_ready(["two"], 20)
        assert supervisor.status("one").state is State.BACKING_OFF
        supervisor.release(["one"])
        await supervisor.until_ready(["one"], 20)


async def test_a_program_that_cannot_be_remembered_is_not_left_running(stage: Stage) -> None:
    """A full disk at the wrong moment: the program is tried again, and no second one holds its port."""
    part = stage.part("one")
    async with stage.running(part) as supervisor:
        await supervisor.until_ready(["one"], 20)
        record = stage.folder / "one.process"
        (stage.folder / "one.process.new").mkdir()  # the record cannot be written while this is in its way
        os.kill(supervisor.status("one").pid or 0, signal.SIGKILL)
        await supervisor.until(lambda: supervisor.status("one").restarts >= 3, 30)
        assert not record.exists()
        (stage.folder / "one.process.new").rmdir()
        await supervisor.until_ready(["one"], 30)
        pid = supervisor.status("one").pid
        assert f'"pid": {pid},' in record.read_text()
        told = {"STAND_IN_FOLDER": str(stage.folder)}.items()
        running = [
            process.pid for process in psutil.process_iter(["environ"]) if told <= _environ(process).items()
        ]
        assert running == [pid]


def _environ(process: psutil.Process) -> dict[str, str]:
    return process.info["environ"] or {}
