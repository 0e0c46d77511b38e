"""What an earlier run left behind is stopped; nothing else is ever signalled."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.embedded import orphans
from runtime.embedded.errors import DataInUse

STEPS = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    code = "import signal; print('up', flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", code, "a-mark"], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        running.stdout.readline()
        yield running
        running.kill()


def change(record: Path, **values: object) -> None:
    record.write_text(json.dumps(json.loads(record.read_text()) | values))


def test_an_orphan_is_stopped(tmp_path: Path, process: subprocess.Popen[str]) -> None:
    """The process that kept it is gone, so it is ours to stop."""
    record = tmp_path / "x.process"
    orphans.remember(record, process.pid, "a-mark")
    change(record, keeper=process.pid, kept="of an earlier boot:1")
    assert orphans.stop_orphan(record, STEPS) == process.pid
    assert process.wait(10) == -signal.SIGTERM
    assert not record.exists()


@pytest.mark.parametrize("wrong", [{"started": "another boot:123"}, {"mark": "another mark"}, {"started": ""}])
def test_a_process_that_merely_has_the_pid_is_left_alone(
    tmp_path: Path, process: subprocess.Popen[str], wrong: dict[str, str]
) -> None:
    """Start time and command line must both fit: pids are used again."""
    record = tmp_path / "x.process"
    orphans.remember(record, process.pid, "a-mark")
    change(record, **wrong)
    assert orphans.stop_orphan(record, STEPS) is None
    assert process.poll() is None
    assert not record.exists()


def test_a_process_whose_keeper_lives_is_not_an_orphan(tmp_path: Path, process: subprocess.Popen[str]) -> None:
    """Two platforms on one folder: the second is refused, the first is not harmed."""
    record = tmp_path / "x.process"
    orphans.remember(record, process.pid, "a-mark")
    change(record, keeper=os.getppid(), kept=orphans.started(os.getppid()))
    with pytest.raises(DataInUse, match=f"in use by process {os.getppid()}"):
        orphans.stop_orphan(record, STEPS)
    assert process.poll() is None


def test_a_record_that_was_cut_off_counts_as_none(tmp_path: Path) -> None:
    """Half a record is no proof of anything."""
    record = tmp_path / "x.process"
    record.write_text('{"pid": 1, "star')
    assert orphans.stop_orphan(record, STEPS) is None
