"""HAProxy takes its files, and a mistake in them is not overlooked."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.compose.reading import FOLDER
from tests.programs import require_program

FAULTS = {"CELLWAY_FAULT_ERRORS": "5", "CELLWAY_FAULT_SILENT": "1", "CELLWAY_FAULT_DELAY": "200ms"}


def _checked(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Names are those of the stack; here they are all this machine."""
    path = folder / "haproxy.cfg"
    path.write_text(
        re.sub(r"^(\s*server \S+) [\w-]+:", r"\1 127.0.0.1:", text, flags=re.MULTILINE), encoding="utf-8"
    )
    program = require_program("haproxy", "the stack's way in")
    environment = {"PATH": os.environ["PATH"], **FAULTS}
    return subprocess.run(
        [program, "-c", "-f", str(path)], capture_output=True, text=True, env=environment, timeout=30
    )


@pytest.mark.parametrize("name", ["haproxy.cfg", "faults.cfg"])
def test_haproxy_takes_its_file(tmp_path: Path, name: str) -> None:
    """Without a warning."""
    ran = _checked((FOLDER / "haproxy" / name).read_text(encoding="utf-8"), tmp_path)
    assert (ran.returncode, "WARNING" in ran.stderr) == (0, False), ran.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("default_backend routers", "default_backend router"),
        ("send-proxy-v2 check", "send-proxy-v2 chek"),
        ("balance leastconn", "balance least"),
        ("bind :8080", "bind :808080"),
    ],
)
def test_a_mistake_is_found(tmp_path: Path, right: str, wrong: str) -> None:
    """Each planted once."""
    text = (FOLDER / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")
    assert right in text
    assert _checked(text.replace(right, wrong), tmp_path).returncode != 0
