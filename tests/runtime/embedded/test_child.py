"""A child process: its log is bounded, its end is an event, its death is tied to ours."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runtime.embedded.child import Child, death_signal_prefix, run
from runtime.embedded.logfile import LogFile
from tests.runtime.embedded.processes import ended

STOP = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-u", "-c", code)


@pytest.fixture
def log(tmp_path: Path) -> LogFile:
    return LogFile(tmp_path / "logs" / "part.log", limit_bytes=1000)


def test_a_child_is_ready_when_it_says_so(log: LogFile) -> None:
    """The ready line is an event; nobody polls for it."""
    child = Child(python("print('I am ready now'); input()"), log, stdin=None, ready_line="ready now")
    child.wait_ready(10)
    child.wait(10)  # its input is closed, so it ends by itself
    assert child.tail()[0] == "I am ready now"
    log.close()


def test_a_child_that_ends_before_it_is_ready_is_not_waited_for(log: LogFile) -> None:
    """The end settles the wait as well, and its last words are there."""
    child = Child(python("import sys; sys.exit('no such thing')"), log, ready_line="ready")
    assert not child.wait_ready(30)
    assert (child.returncode, child.tail()) == (1, ["no such thing"])
    log.close()


def test_everyone_who_asked_hears_of_the_end(log: LogFile) -> None:
    """Those who ask before the end and those who ask after it."""
    child = Child(python("import signal; signal.pause()"), log)
    heard, codes = threading.Event(), list[int]()
    child.on_exit(codes.append)
    child.on_exit(lambda _code: heard.set())
    child.signal(signal.SIGKILL)
    assert heard.wait(10)
    child.on_exit(codes.append)
    assert codes == [-signal.SIGKILL, -signal.SIGKILL]
    log.close()


def test_a_child_that_ignores_the_polite_signal_is_killed(log: LogFile) -> None:
    """Nothing waits without a deadline."""
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready'); signal.pause()"
    child = Child(python(stubborn), log, ready_line="ready")
    assert child.wait_ready(10)
    assert child.stop(((signal.SIGTERM, 0.1), (signal.SIGKILL, 10.0))) == -signal.SIGKILL
    log.close()


def test_what_a_child_leaves_behind_goes_with_it(log: LogFile) -> None:
    """The processes it forked are in its group, and are killed when it ends."""
    forks = "import os, signal; pid = os.fork(); print(f'ready {pid}') if pid else None; signal.pause()"
    child = Child(python(forks), log, ready_line="ready")
    assert child.wait_ready(10)
    grandchild = int(child.tail()[0].split()[1])
    child.signal(signal.SIGKILL)
    assert ended(grandchild)
    log.close()


@pytest.mark.skipif(not death_signal_prefix(signal.SIGKILL), reason="the system has no death signal")
def test_a_child_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    """`kill -9` of the parent leaves nothing running."""
    parent = f"""
import pathlib, signal
from runtime.embedded.child import Child
from runtime.embedded.logfile import LogFile
log = LogFile(pathlib.Path({str(tmp_path / "part.log")!r}))
code = "import signal; print('up', flush=True); signal.pause()"
child = Child(("{sys.executable}", "-c", code), log, ready_line="up")
child.wait_ready(10)
print(child.pid, flush=True)
signal.pause()
"""
    with subprocess.Popen(python(parent), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
        assert ended(pid)


def test_a_log_never_outgrows_its_limit(tmp_path: Path) -> None:
    """Two files, each within the limit, whatever is written."""
    log = LogFile(tmp_path / "part.log", limit_bytes=1000)
    log.open()
    for number in range(500):
        log.write(b"line %d\n" % number)
    log.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"part.log", "part.log.1"}
    assert max(sizes.values()) <= 1000
    assert (tmp_path / "part.log").read_bytes().endswith(b"line 499\n")


def test_a_new_run_keeps_the_log_of_the_one_before(tmp_path: Path) -> None:
    """Why the last run died is often in its log."""
    for words in (b"first\n", b"second\n"):
        log = LogFile(tmp_path / "part.log")
        log.open()
        log.write(words)
        log.close()
    assert (tmp_path / "part.log").read_bytes() == b"second\n"
    assert (tmp_path / "part.log.1").read_bytes() == b"first\n"


def test_a_short_command_has_a_deadline() -> None:
    """One that hangs is killed, and said to have hung."""
    with pytest.raises(TimeoutError, match="did not end within"):
        run(python("import signal; signal.pause()"), deadline_seconds=0.5)
    assert run(python("print('hello')"), deadline_seconds=10) == (0, ["hello"])


def test_the_environment_of_a_child_is_what_was_given(log: LogFile) -> None:
    """Settings for one part must not leak into another."""
    child = Child(python("import os; print(os.environ['A'], 'HOME' in os.environ)"), log, env={"A": "b"})
    child.wait(10)
    assert child.tail() == ["b False"]
    assert "A" not in os.environ
    log.close()
