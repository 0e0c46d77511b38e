"""What the README says works word for word."""

import asyncio
import json
import re
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from console.platform.platform import Platform
from tests.programs import require_program

pytestmark = pytest.mark.platform


def session(readme: str) -> str:
    """The block of shell between the README's two marks."""
    found = re.search(r"curl session: begin -->\n```sh\n(.*?)```\n<!-- curl session: end", readme, re.DOTALL)
    assert found is not None
    return found[1]


async def test_the_curl_session_works_when_pasted(platform: Platform, project_root: Path) -> None:
    """Only the ports differ, because the tests let the system choose them."""
    require_program("curl", "the README's session")
    place = platform.layout.root.parent
    if not (place / ".venv").exists():
        (place / ".venv").symlink_to(project_root / ".venv")
    script = session((project_root / "README.md").read_text(encoding="utf-8"))
    for name, port in (("placement", 8081), ("router", 8080)):
        script = script.replace(f":{port}", f":{platform.ports[name]}")
    # Each answer on a line of its own, so that all of them can be read back.
    lines = 'curl() { command curl "$@"; echo; }\n' + script
    shell = await asyncio.create_subprocess_exec(
        require_program("bash", "the README's session"), "-euc", lines, cwd=place, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(60):
        out, complaints = await shell.communicate()
    assert shell.returncode == 0, complaints.decode()
    answers = [json.loads(line) for line in out.decode().splitlines() if line.strip()]
    tenant, account, operation, namespace, namespaces, refused = answers
    assert tenant["tenant_id"] == "acme"
    assert account["name"] == "accounts/main"
    assert operation["state"] == "SUCCEEDED"
    assert namespace["state"] == "ACTIVE"
    assert [found["name"] for found in namespaces["namespaces"]] == ["accounts/main/namespaces/prod"]
    assert refused["code"] == "UNAUTHENTICATED"
