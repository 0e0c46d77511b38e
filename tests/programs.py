"""Programs that a laptop may lack. Where they are required (CI), their absence fails; elsewhere it skips."""

import os
import shutil

import pytest


def require_program(name: str, purpose: str) -> str:
    """The path of a program; skips the test, or fails it where CI is set."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not installed; it is needed for {purpose}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found
