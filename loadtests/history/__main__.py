"""The history checker under an adversary: tenants are moved again and again while their clients write.

    python -m loadtests.history [--moves 260] [--seconds 1500] [--seed 1] [--faults kill,stop,…] [--short] [--json]

On an embedded platform of its own with three cells and two movers. Faults are drawn by the seed; when they meet
what they meet is up to the machine. The exit code is 1 when the history is not as it must be, when a move did not
end, and when a platform without its fence was not found out.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.history.adversary import KINDS
from loadtests.history.run import Options, Outcome, run
from loadtests.history.stage import staged
from loadtests.history.unfenced import found_out, run_unfenced
from loadtests.router.report import machine

RESULT = Path(__file__).parents[1] / "results" / "history.json"
MOVES = 260
"""So many that more than 200 end: others are refused, or cannot be asked for while something is away."""
SHORT_MOVES, SHORT_TENANTS, SHORT_SECONDS, SHORT_STOP_SECONDS = 10, 3, 9.0, 2.0
MOST_SHOWN = 20


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=MOVES, help="that are asked for")
    parser.add_argument("--seconds", type=float, default=1500.0, help="after so long no further move is planned")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tenants", type=int, default=4)
    parser.add_argument("--faults", default=",".join(KINDS), help=f"of {', '.join(KINDS)}; or none")
    parser.add_argument("--short", action="store_true", help="a few moves and faults, within half a minute")
    parser.add_argument("--without-fence", action="store_true", help="only the part that must be found out")
    parser.add_argument(
        "--folder", type=Path, help="for the platform and its logs; kept (default: a temporary one)"
    )
    parser.add_argument("--json", type=Path, nargs="?", const=RESULT, help=f"write the figures (to {RESULT.name})")
    asked = parser.parse_args(arguments)
    asked.faults = [] if asked.faults == "none" else asked.faults.split(",")
    if unknown := set(asked.faults) - set(KINDS):
        parser.error(f"there is no fault {', '.join(sorted(unknown))}: there are {', '.join(KINDS)}")
    return asked


def run_options(asked: argparse.Namespace) -> Options:
    """For the run itself."""
    faults = asked.faults
    if asked.short:
        return Options(
            *(min(asked.moves, SHORT_MOVES), SHORT_SECONDS, asked.seed, SHORT_TENANTS, faults),
            SHORT_STOP_SECONDS,
            2.0,
        )
    return Options(asked.moves, asked.seconds, asked.seed, asked.tenants, faults)


def told(outcome: Outcome) -> dict[str, Any]:
    """For people and the file."""
    verdict = outcome.verdict
    return {
        "seed": outcome.options.seed,
        "seconds": round(outcome.seconds, 1),
        "moves": dict(sorted(outcome.moves.items())),
        "switches_begun_anew": outcome.attempts,
        "faults": dict(sorted(outcome.faults.items())),
        "answers": dict(sorted(outcome.statuses.items())),
        "pause_ms": dict(outcome.pauses_ms),
        "longest_wait_of_a_client_ms": dict(outcome.waits_ms),
        "longest_wait_without_a_fault_ms": dict(outcome.undisturbed_waits_ms),
        "keys": verdict.keys,
        "reads": verdict.reads,
        "acknowledged": verdict.acknowledged,
        "unknown": verdict.unknown,
        "refused": verdict.refused,
        **verdict.faults(),
    }


def show(outcome: Outcome) -> None:
    """For people."""
    for name, value in told(outcome).items():
        print(f"{name:32}", ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value)
    for violation in outcome.verdict.violations[:MOST_SHOWN]:
        print(f"VIOLATION: {violation}")
    for move in outcome.stuck:
        how = f"{move.phase}, paused" if move.paused else move.phase
        print(f"STUCK: {move.move_id} of {move.tenant_id} in {how}: {move.error}")
    print("The history holds." if outcome.holds else "The history does NOT hold.")


async def _both(folder: Path, asked: argparse.Namespace) -> tuple[Outcome | None, Outcome]:
    """The run, and then the same platform without its fence."""
    outcome = None
    async with staged(folder) as stage:
        if not asked.without_fence:
            print(f"seed {asked.seed}")
            outcome = await run(stage, run_options(asked))
            show(outcome)
        print("Now without the fence: it must be found out.")
        return outcome, await run_unfenced(stage, asked.seed)


def main() -> int:
    """Run, print, write; 1 when anything is not as it must be."""
    asked = options_of()
    os.environ.setdefault("CELLWAY_INTERPRETED", "1")
    with tempfile.TemporaryDirectory(prefix="cellway-history-") as temporary:
        outcome, caught = asyncio.run(_both(asked.folder or Path(temporary), asked))
    faults = found_out(caught)
    print(f"without the fence: {faults or 'NOTHING WAS FOUND, though it must be'} in {caught.moves.total()} moves")
    if asked.json is not None and outcome is not None:
        figures = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **told(outcome),
            "without_the_fence": faults,
            "machine": machine(),
        }
        asked.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        print(f"written to {asked.json}")
    return 0 if (outcome is None or outcome.holds) and faults else 1


if __name__ == "__main__":
    sys.exit(main())
