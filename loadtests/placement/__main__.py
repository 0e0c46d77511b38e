"""Choosing a cell and levelling fleets: how quickly, how well, and beside whom.

    python -m loadtests.placement --peers PEERS [--optima 200] [--only NAME …]

Each figure comes from a fresh process. Only a run that measures everything writes results/placement.json. The exit
code is 1 when a goal is missed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.placement import greedy, optima
from loadtests.placement.instances import GIB, uneven
from loadtests.placement.measure import STOP
from loadtests.router.errors import CannotMeasure
from loadtests.router.noise import Noise
from loadtests.router.pinned import alone
from loadtests.router.report import machine
from placement.balancing.fleet import Fleet
from placement.balancing.goals import Effort, Goals
from placement.balancing.planning import ideals, peak, rebalance
from placement.balancing.resources import LEVELLED, Floats, Integers

RESULT = Path(__file__).parents[1] / "results" / "placement.json"
MEASURED = ("choose", "rooms", "plan_10k", "plan_1m", "service_1m")
"""Each in a process of its own."""
PARTS = (*MEASURED, "peers", "optima")
Arranged = tuple[Integers | None, float]
"""Where everybody lives then, None when nothing was found; after how many seconds."""
DEADLINE_SECONDS = 600.0
START_SECONDS = 15.0
"""For a peer's Python to import OR-tools, on a machine with other things to do."""
TOO_LATE = 3
"""Exit code of a peer whose time was over before its model was built."""
OPTIMA = 200
BESIDE = ((200, 10, 5.0), (10_000, 50, 5.0))
"""Fleets that peers plan for as well: tenants, cells, and for how many seconds at most."""
GOALS: Mapping[str, tuple[str, float]] = {
    "choose_p50_ms": ("<=", 1.0),
    "choose_p99_ms": ("<=", 3.0),
    "plan_10k_seconds": ("<=", 2.0),
    "plan_10k_gap": ("<=", 0.02),
    "plan_1m_seconds": ("<=", 60.0),
    "plan_1m_gib": ("<=", 4.0),
    "max_over_mean": ("<=", 1.1),
    "optima_worst_ratio": ("<=", optima.FAR),
}
METHOD = (
    "Fleets: log-normal tenants whose CPU, memory, storage and network depend on each other only in part, thrown"
    " into cells by log-normal weights, 60 % of the capacity in use; limits leave room for the loss of one cell."
    " Seconds are of `rebalance` with its linear programs, one thread, waves apart; GiB is the largest resident "
    "set of the process, the fleet included. rooms and service_1m are what the service does, without goals: a "
    "cell chosen from the picture that placement keeps, of cells of which nobody has told any load; and a plan "
    "for tenants that a directory makes page by page as they are read (that counts), reckoned with by measured "
    "weeks, solved in a process of its own as the service does it, with reasons; its GiB are of either process. "
    "The gap is to a bound from linear programs in which tenants are divisible, resource by resource; "
    "max_over_mean is the worst cell's ratio in any resource after the plan, of both sizes. Peers plan for the "
    "same fleet for the same time: CP-SAT (two workers, our present layout as its hint, building its model "
    "counts, starting Python does not; it knows no caps), and a greedy rebalancer by one number for each tenant."
    " Optima: small random fleets, beside the optimum that scipy.optimize.milp proves. others_cores is what "
    "other programs used meanwhile."
)


def part(name: str) -> dict[str, Any]:
    """What a fresh process measured. CannotMeasure."""
    noise = Noise()
    command = [sys.executable, "-m", "loadtests.placement.measure", name]
    try:
        done = subprocess.run(  # noqa: S603 ours
            command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise CannotMeasure(f"{name} did not end within {DEADLINE_SECONDS:.0f} seconds") from None
    if done.returncode:
        raise CannotMeasure(f"{name} failed: {done.stderr.strip()[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return {**told, f"{name}_others_cores": round(noise.cores(), 2)}


def require(peers: Path) -> None:
    """CannotMeasure, before anything else has taken its minutes."""
    python = peers / "bin" / "python"
    if not python.exists():
        raise CannotMeasure(f"there is no {python}: `make bench-placement` makes it from loadtests/peers.txt")
    known = subprocess.run([python, "-c", "import ortools"], capture_output=True, check=False, timeout=60)  # noqa: S603
    if known.returncode:
        raise CannotMeasure(f"{python} has no OR-tools: install what loadtests/peers.txt names")


def beside(peers: Path) -> dict[str, Any]:
    """Ours, CP-SAT and greedy, each for the same time on the same fleets."""
    found: dict[str, Any] = {}
    for tenants, cells, seconds in BESIDE:
        fleet = uneven(tenants, cells)
        ideal = ideals(fleet, fleet.loads(fleet.home), 0.0)
        arranged = {
            "ours": _timed(partial(_ours, fleet, seconds)),
            "cp_sat": _cp_sat(fleet, ideal, seconds, peers),
            "greedy": _timed(partial(greedy.rebalance, fleet, seconds)),
        }
        found[f"{tenants}x{cells}"] = {
            "seconds_allowed": seconds,
            "worst_before": round(peak(fleet.loads(fleet.home), ideal), 3),
            **{name: _judged(fleet, ideal, where, spent) for name, (where, spent) in arranged.items()},
        }
    return {"peers": found}


def _timed(arrange: Callable[[], Integers]) -> Arranged:
    began = time.monotonic()
    return arrange(), time.monotonic() - began


def _ours(fleet: Fleet, seconds: float) -> Integers:
    end = time.monotonic() + seconds
    return rebalance(fleet, Goals(start=1.0, stop=STOP), Effort(), lambda: time.monotonic() > end).where


def _cp_sat(fleet: Fleet, ideal: Floats, seconds: float, peers: Path) -> Arranged:
    """Told by itself how long it took, for starting Python is no part of that."""
    wide = len(LEVELLED)
    with tempfile.TemporaryDirectory(prefix="cellway-cp-sat-") as folder:
        given, out = Path(folder) / "fleet.npz", Path(folder) / "where.npy"
        np.savez(
            given,
            share=fleet.demand[:, :wide] / ideal[0, :wide],
            home=fleet.home,
            ceiling=fleet.limits[:, :wide] / ideal[0, :wide],
            cost=fleet.bytes,
        )
        program = Path(__file__).with_name("peer.py")
        command = [str(word) for word in (peers / "bin" / "python", program, given, seconds, out)]
        # Its time begins when OR-tools is there; whoever cannot be interrupted is killed, and keeps what it found.
        try:
            done = subprocess.run(  # noqa: S603 a peer
                command, cwd=folder, capture_output=True, text=True, timeout=seconds + START_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            done = None
        if done is not None and done.returncode not in (0, TOO_LATE):
            raise CannotMeasure(f"CP-SAT failed: {done.stderr.strip()[-2000:]}")
        spent = seconds if done is None else float(done.stdout.rstrip().rpartition("\n")[2])
        return (np.load(out) if out.exists() else None), spent


def _judged(fleet: Fleet, ideal: Floats, where: Integers | None, seconds: float) -> dict[str, Any]:
    if where is None:
        return {"seconds": round(seconds, 2), "worst_after": None}
    load, moved = fleet.loads(where), where != fleet.home
    return {
        "seconds": round(seconds, 2),
        "worst_after": round(peak(load, ideal), 4),
        "over_limits": int((load > fleet.limits * (1 + 1e-6)).sum()),
        "moves": int(moved.sum()),
        "moved_gib": round(float(fleet.bytes[moved].sum()) / GIB),
    }


def missed(found: Mapping[str, Any]) -> list[str]:
    """The goals that were not reached, of those that were measured."""
    return [
        f"{name} is {found[name]}, and should be {sign} {limit}"
        for name, (sign, limit) in GOALS.items()
        if name in found and not found[name] <= limit
    ]


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What was asked for."""
    found: dict[str, Any] = {}
    peers = options.peers.absolute()
    if "peers" in options.only:
        require(peers)
    for name in MEASURED:
        if name in options.only:
            found |= part(name)
            print({key: value for key, value in found.items() if key.startswith(name)}, flush=True)
    worst = [found[name] for name in ("plan_10k_worst_after", "plan_1m_worst_after") if name in found]
    if worst:
        found["max_over_mean"] = max(worst)
    if "peers" in options.only:
        found |= beside(peers)
    if "optima" in options.only:
        found |= optima.compare(options.optima)
    return found


def main() -> int:
    """Measure, print, write; 1 when a goal is missed, or something cannot be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=Path(".venv", "peers"), help="the peers' environment")
    parser.add_argument("--optima", type=int, default=OPTIMA)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    try:
        with alone():
            found = measure(options)
    except CannotMeasure as error:
        print(f"bench-placement: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2))
    if tuple(options.only) == PARTS and options.optima == OPTIMA:
        told = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **found,
            "goals": {name: f"{sign} {limit:g}" for name, (sign, limit) in GOALS.items()},
            "method": METHOD,
            "machine": machine(),
        }
        RESULT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        print(f"written to {RESULT}")
    for goal in missed(found):
        print(f"MISSED: {goal}", file=sys.stderr)
    return 1 if missed(found) else 0


if __name__ == "__main__":
    raise SystemExit(main())
