"""Schemathesis asks every operation of the served OpenAPI document, with good and bad input."""

import asyncio
import sys
from pathlib import Path

from tests.placement.conftest import TOKEN, Client
from tests.placement.fake_cell import FakeCell

MOST_SECONDS = 6
LEEWAY_SECONDS = 60
"""To start and to tell, on a machine with other things to do."""
OPTIONS = (
    "--checks=all",
    # Tenants and cells outlive their deletion on purpose: their names stay taken, and they can be looked at.
    # Page tokens and addresses have rules that a schema cannot express, so what looks valid may be refused.
    "--exclude-checks=use_after_free,positive_data_acceptance",
    f"--max-time={MOST_SECONDS}",
    "--request-timeout=10",
    "--max-examples=30",
    "--seed=1",
    "--generation-database=none",
    "--no-color",
    "--warnings=off",
)


async def test_the_served_document_is_true(placement: Client, cell: FakeCell, tmp_path: Path) -> None:
    """Every answer is one that the document describes; nothing that it forbids is accepted; nothing is a 500."""
    await placement.create("acme")
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{placement.url}/openapi.json",
        f"--header=Authorization:Bearer {TOKEN}",
        *OPTIONS,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), MOST_SECONDS + LEEWAY_SECONDS)
    assert process.returncode == 0, output.decode()[-6000:]
