"""All scenarios on one page, to be read in five minutes: the verdict, all goals, a picture of each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from loadtests.drawing.markup import Markup, tag
from loadtests.scenarios.report import picture, tables, words
from loadtests.scenarios.report.document import anchors, document
from loadtests.scenarios.report.run import Run, Series, Verdict, known, read

OWN = "load"
"""The folder beside the page where runs have their own."""
MOST_PANELS = 6
NONE: Mapping[str, str] = MappingProxyType({})


def write(results: Sequence[Mapping[str, Any]], path: Path, not_run: Mapping[str, str] = NONE) -> None:
    """The page of all runs, in their order; a run's own page is linked where it lies in `load` beside this one.

    `not_run` are titles of what should have been run, with the reason why it was not: the page must not be silent
    about them.
    """
    there = {file.stem for file in path.parent.joinpath(OWN).glob("*.html")}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(results, there, not_run), encoding="utf-8")


def render(
    results: Sequence[Mapping[str, Any]],
    own: set[str] | frozenset[str] = frozenset(),
    not_run: Mapping[str, str] = NONE,
) -> str:
    """The same, as text; `own` are the scenarios that have a page of their own."""
    runs = [read(result) for result in results]
    links = anchors(run.scenario for run in runs)
    headline, verdict = _headline(runs, len(not_run))
    return document(
        f"{tables.SIGNS[verdict]} {headline}",
        tag(
            "header",
            tag("p", "Cellway · load scenarios", class_="over"),
            tag("h1", headline, class_=f"headline {verdict}"),
            _missed(runs, links, not_run),
            tag("p", _summary(runs), class_="asked") if runs else None,
        ),
        tables.goals(runs, links) if runs else None,
        tag("p", words.HOW, class_="reading") if runs else None,
        *(_section(run, link, run.scenario in own) for run, link in zip(runs, links, strict=True)),
    )


def _headline(runs: Sequence[Run], not_run: int) -> tuple[str, Verdict]:
    """What a person reads who reads nothing else."""
    if not runs and not not_run:
        return "Nothing was run, so nothing is proved", Verdict.MEASURED
    missed = [run for run in runs if run.verdict is Verdict.MISSED]
    judged = [run for run in runs if run.verdict is not Verdict.MEASURED]
    if missed or not_run:
        all_ = words.count(len(runs) + not_run, "scenario")
        told = [f"{len(missed)} of {all_} missed a goal"] if missed else []
        told += [f"{not_run} {'' if missed else f'of {all_} '}could not be run"] if not_run else []
        return ", ".join(told), Verdict.MISSED
    if not judged:
        return f"{words.count(len(runs), 'scenario')} measured, without goals", Verdict.MEASURED
    rest = len(runs) - len(judged)
    besides = f"; {rest} measured without goals" if rest else ""
    if len(judged) == 1:
        return f"The scenario met every goal{besides}", Verdict.PASSED
    return f"All {len(judged)} scenarios met every goal{besides}", Verdict.PASSED


def _missed(runs: Sequence[Run], links: Sequence[str], not_run: Mapping[str, str]) -> Markup | None:
    """First of all, what is not as it should be."""
    told = [
        tag("li", tag("a", run.title, href=f"#{link}"), " ", tables.missed(run))
        for run, link in zip(runs, links, strict=True)
        if run.verdict is Verdict.MISSED
    ]
    told += [
        tag("li", title, " ", tag("ul", tag("li", f"not run: {reason}"), class_="shortfall"))
        for title, reason in not_run.items()
    ]
    return tag("ul", *told, class_="failures") if told else None


def _summary(runs: Sequence[Run]) -> str:
    """How much was done, where and when."""
    goals = sum(len(run.goals) for run in runs)
    machines = list(dict.fromkeys(words.machine(run.machine) for run in runs))
    targets = list(dict.fromkeys(run.target for run in runs))
    days = list(dict.fromkeys(words.moment(run.began).partition(",")[0] for run in runs))
    parts = [
        words.count(goals, "goal"),
        f"{words.count(sum(run.totals.requests for run in runs), 'request')} in "
        f"{words.seconds(sum(run.seconds for run in runs))}",
        f"against {_few(targets, 'targets')}",
        f"on {_few(machines, 'machines')}",
        days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}",
    ]
    return " · ".join(parts)


def _few(values: Sequence[str], what: str) -> str:
    return (values[0] or "–") if len(values) == 1 else f"{len(values)} {what}"


def _section(run: Run, anchor: str, own: bool) -> Markup:
    by = "cell" if run.series.cells else "operation"
    parts, left_out = _shown(run, run.series.cells or run.series.operations)
    return tag(
        "section",
        tag(
            "div",
            tag("h2", run.title, " ", tables.badge(run.verdict)),
            tag("p", run.proves, class_="proves"),
            tables.missed(run),
            tables.totals(run),
            tables.asked(run),
            tag(
                "details",
                tag("summary", words.count(len(run.notes), "note")),
                tables.notes(run),
                open="" if run.verdict is Verdict.MISSED else None,
            )
            if run.notes
            else None,
            tag(
                "p", tag("a", "Everything of this run", href=f"{OWN}/{quote(run.scenario, errors='replace')}.html")
            )
            if own
            else None,
            class_="told",
        ),
        tag(
            "div",
            picture.drawn(run, parts, by, anchor),
            tag("p", f"{words.count(left_out, by)} more on the run's own page", class_="how")
            if left_out
            else None,
            tables.figures(run, parts, by),
            class_="shown",
        )
        if parts
        else None,
        id=anchor,
        class_="scenario",
    )


def _shown(run: Run, parts: Mapping[str, Series]) -> tuple[dict[str, Series], int]:
    """Not more than fit: those to which something was done, then who failed or was slow; in their order."""
    faulty = {fault.cell for fault in run.faults}

    def matters(name: str) -> tuple[bool, float, float]:
        each = parts[name]
        return name in faulty, sum(known(each.failed)), max(known(each.gapped(each.p99_ms)), default=0.0)

    kept = set(sorted(parts, key=matters, reverse=True)[:MOST_PANELS])
    return {name: each for name, each in parts.items() if name in kept}, len(parts) - len(kept)
