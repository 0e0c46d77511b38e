"""A program that measures itself: started anew on core 0, asked by options, and telling by a line of JSON."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from loadtests.router.errors import CannotMeasure
from loadtests.router.noise import Noise
from loadtests.router.pinned import PROXY_CORE, program
from loadtests.router.rounds import QUIET_CORES

DEADLINE_SECONDS = 180.0
MOST_WORDS = 2000
"""Of its last words, in characters."""
Figures = dict[str, float]


def run(name: str, command: Sequence[str | Path], options: Mapping[str, object]) -> Figures:
    """Start it, wait for its end; what it told. CannotMeasure."""
    words = [program("taskset"), "--cpu-list", str(PROXY_CORE), *map(str, command)]
    words += [f"--{option}={value}" for option, value in options.items()]
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    try:
        done = subprocess.run(  # noqa: S603 ours
            words, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        raise CannotMeasure(f"{name} did not end within {DEADLINE_SECONDS:.0f} seconds") from None
    if done.returncode:
        raise CannotMeasure(f"{name} failed: {done.stderr.strip()[-MOST_WORDS:]}")
    told: Figures = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return told


def quietest(measure: Callable[[], Figures], repeats: int) -> Figures:
    """Again while others disturb it, so often at most; chosen by what they did, never by the figure itself.

    Their work, in cores, is added as `others_cores`.
    """
    tries: list[Figures] = []
    while len(tries) <= repeats and all(disturbed([each]) for each in tries):
        noise = Noise()
        told = measure()
        tries.append({**told, "others_cores": noise.cores()})
    return min(tries, key=lambda each: each["others_cores"])


def disturbed(figures: Sequence[Figures]) -> int:
    """How many of them were."""
    return sum(each["others_cores"] > QUIET_CORES for each in figures)
