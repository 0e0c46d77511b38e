"""Load scenarios: what the platform does under load and failure, judged by goals.

    python -m loadtests.scenarios live_move [--seconds 60] [--rate 100] [--seed 1]
    python -m loadtests.scenarios --all
    python -m loadtests.scenarios steady --url https://api.example --key-file keys [--events /v1/events]
    python -m loadtests.scenarios move_storm --url … --placement https://placement.example --token-file token

Each run prints its goals and writes <results>/load/<scenario>.json and .html; --all also writes
<results>/report.html. Without --url each scenario starts a platform of its own, finds out what this machine
carries, and loads it with a part of that. A line of the key file is a tenant and its API key; without one,
placement makes tenants, which are deleted afterwards. The exit code is 1 when a goal was missed, 2 when a scenario
cannot be run there.
"""

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from loadtests.router.errors import CannotMeasure
from loadtests.router.pinned import alone
from loadtests.scenarios.catalogue import ALL, BY_NAME
from loadtests.scenarios.conductor import Options, Outcome, require_runnable, run
from loadtests.scenarios.report import one, page
from loadtests.scenarios.scenario import Scenario
from loadtests.scenarios.stage import Given
from runtime.errors import RuntimeFault

RESULTS = Path(__file__).parents[1] / "results"
EXIT_MISSED, EXIT_USAGE = 1, 2
AGAIN = 2
QUIET_CORES = 0.2
"""More work of others than this disturbs a run. What the kernel does for connections counts as others' too."""


def options_of(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="loadtests.scenarios", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="see --list")
    parser.add_argument("--all", action="store_true", help="every scenario, and one page of them all")
    parser.add_argument("--list", action="store_true", help="what there is, and what each proves")
    parser.add_argument("--seconds", type=float, help="how long each lasts (default: its own time)")
    parser.add_argument("--rate", type=float, help="requests a second (default: a part of what is carried)")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn")
    parser.add_argument(
        "--again",
        type=int,
        default=AGAIN,
        help="runs more, at most, of a scenario that judges latencies, while other programs use the machine",
    )
    parser.add_argument("--json", action="store_true", help="print what the files say, and the words to stderr")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for JSON and pages")
    parser.add_argument(
        "--folder", type=Path, help="for the platform and its logs; kept (default: a temporary one)"
    )
    parser.add_argument("--url", help="a router that runs elsewhere, in place of an embedded platform")
    parser.add_argument("--key-file", type=Path, help="of its tenants: a line each, name and API key")
    parser.add_argument("--placement", default="", help="its placement, for moves and for making tenants")
    parser.add_argument("--token-file", type=Path, help="holds the operator's token for placement")
    parser.add_argument("--events", default="", help="a path that serves server-sent events, two a second")
    parser.add_argument(
        "--cell", default="", help="the cell there that evacuate_under_load takes everybody out of"
    )
    parser.add_argument("--ca", help="PEM file of who signed its certificate, where the system does not know")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.scenarios if name not in BY_NAME]:
        parser.error(f"there is no scenario {', '.join(unknown)}: there are {', '.join(BY_NAME)}")
    if not (asked.scenarios or asked.all or asked.list):
        parser.error(f"say which scenario, or --all: there are {', '.join(BY_NAME)}")
    if asked.url and not (asked.key_file or asked.placement):
        parser.error("with --url say --key-file, or --placement and --token-file")
    if not asked.url and (asked.key_file or asked.placement):
        parser.error("--key-file and --placement belong to --url")
    if bool(asked.placement) != bool(asked.token_file):
        parser.error("--placement and --token-file belong together")
    return asked


def given_of(asked: argparse.Namespace) -> Given | None:
    """The platform that runs elsewhere. CannotMeasure when a file does not say what it should."""
    if not asked.url:
        return None
    keys = keys_of(asked.key_file) if asked.key_file else ()
    token = asked.token_file.read_text(encoding="utf-8").strip() if asked.token_file else ""
    return Given(asked.url, keys, asked.placement, token, asked.events, asked.ca, asked.cell)


def keys_of(path: Path) -> tuple[tuple[str, str], ...]:
    """Tenants with their keys. CannotMeasure."""
    lines = [
        line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()[:1] not in ("", "#")
    ]
    if not lines or any(len(words) != 2 for words in lines):
        raise CannotMeasure(f"{path} should have a line for each tenant: its name, a space, an API key of it")
    return tuple((name, key) for name, key in lines)


def measured(scenario: Scenario, options: Options, again: int) -> Outcome:
    """What came of it. CannotMeasure."""

    def once() -> Outcome:
        with _one_error():
            return asyncio.run(run(scenario, options, print))

    judges_latency = options.given is None and any(goal.noise for goal in scenario.goals)
    return quietest(once, again if judges_latency else 0)


def quietest(once: Callable[[], Outcome], again: int) -> Outcome:
    """A run; so many more at most while others disturb it, and the quietest counts.

    Chosen by what others did, never by a figure. A goal that noise does not excuse ends it at once.
    """
    outcomes: list[Outcome] = []
    while True:
        last = once()
        if any(not each.passed and not each.goal.noise for each in last.judged):
            return last
        outcomes.append(last)
        if last.others_cores <= QUIET_CORES or len(outcomes) > again:
            return min(outcomes, key=lambda each: each.others_cores)
        print(f"  Other programs used {last.others_cores:.2f} cores: once more.")


@contextlib.contextmanager
def _one_error() -> Iterator[None]:
    """Of several things that went wrong together the one that we know."""
    try:
        yield
    except BaseExceptionGroup as several:
        known, unknown = several.split((CannotMeasure, RuntimeFault))
        if known is None or unknown is not None:
            raise
        raise _first(known) from None


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def show(outcome: Outcome) -> None:
    """For people."""
    totals = outcome.told["totals"]
    print(
        f"  {totals['requests']:,} requests, {totals['failed']:,} failed, p50 {totals['p50_ms']} ms, "
        f"p99 {totals['p99_ms']} ms, slowest {totals['max_ms']} ms"
    )
    for note in outcome.told["notes"][1:]:
        print(f"  {note}")
    for each in outcome.judged:
        print(f"  {each}")


def write(told: dict[str, Any], results: Path) -> Path:
    """JSON and page of one run; where they are."""
    folder = results / "load"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{told['scenario']}.json"
    path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    one.write(told, path.with_suffix(".html"))
    return path


def play(
    chosen: Sequence[Scenario], options: Options, asked: argparse.Namespace
) -> tuple[list[dict[str, Any]], int]:
    """One after the other; what was found, and the exit code."""
    found: list[dict[str, Any]] = []
    missed, not_run = 0, dict[str, str]()
    for scenario in chosen:
        print(f"\n{scenario.title}. {scenario.proves}")
        try:
            outcome = measured(scenario, options, asked.again)
        except (CannotMeasure, RuntimeFault) as reason:
            print(f"  NOT RUN: {reason}", file=sys.stderr)
            not_run[scenario.title] = str(reason)
            continue
        show(outcome)
        print(f"  written to {write(outcome.told, asked.results)}")
        found.append(outcome.told)
        missed += not outcome.passed
    if asked.all:
        page.write(found, asked.results / "report.html", not_run)
        print(f"\nAll on one page: {asked.results / 'report.html'}")
    if len(chosen) > 1:
        print(f"{len(found) - missed} of {len(chosen)} passed")
    return found, EXIT_MISSED if missed or not_run else 0


def main() -> int:
    """Run what was asked for; 1 when a goal was missed."""
    asked = options_of()
    chosen = ALL if asked.all else [BY_NAME[name] for name in asked.scenarios]
    if asked.list:
        for scenario in ALL:
            print(f"{scenario.name:24} {scenario.proves}")
        return 0
    try:
        options = Options(asked.seconds, asked.rate, asked.seed, given_of(asked), asked.folder)
        if len(chosen) == 1:
            require_runnable(chosen[0], options)
    except (CannotMeasure, OSError) as reason:
        print(reason, file=sys.stderr)
        return EXIT_USAGE
    waiting = alone() if options.given is None else contextlib.nullcontext()
    saying = contextlib.redirect_stdout(sys.stderr) if asked.json else contextlib.nullcontext()
    with saying, waiting:
        found, code = play(chosen, options, asked)
    if asked.json:
        print(json.dumps(found, indent=1))
    return code


if __name__ == "__main__":
    raise SystemExit(main())
