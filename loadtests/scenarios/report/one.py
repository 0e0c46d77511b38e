"""A run's own page, with everything that is known of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loadtests.drawing.markup import Markup, tag
from loadtests.scenarios.report import picture, tables, words
from loadtests.scenarios.report.document import document
from loadtests.scenarios.report.run import Run, Series, Verdict, read


def write(result: Mapping[str, Any], path: Path) -> None:
    """The page of one run, as JSON has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(result), encoding="utf-8")


def render(result: Mapping[str, Any]) -> str:
    """The same, as text."""
    run = read(result)
    series = run.series
    return document(
        f"{tables.SIGNS[run.verdict]} {run.title}",
        tag(
            "header",
            tag("p", "Cellway · load scenario", class_="over"),
            tag("h1", run.title, " ", tables.badge(run.verdict)),
            tag("p", _verdict(run), class_=f"headline {run.verdict}"),
            tables.missed(run),
            tag("p", run.proves, class_="proves"),
            tables.asked(run),
            tables.totals(run),
        ),
        tables.goals([run]),
        _pictures(run, series.cells, "cell"),
        _pictures(run, series.operations, "operation"),
        tables.faults(run) if run.faults else None,
        tag("section", tag("h2", "Notes"), tables.notes(run), class_="told") if run.notes else None,
        tag("section", tag("h2", "Where and when"), tables.circumstances(run), class_="told"),
        tag("footer", tag("p", words.HOW)),
    )


def _verdict(run: Run) -> str:
    if run.verdict is Verdict.MEASURED:
        return "Measured only: no goal was set"
    if run.verdict is Verdict.PASSED:
        return "The goal was met" if len(run.goals) == 1 else f"All {len(run.goals)} goals were met"
    if not run.missed:
        return "The run calls itself failed"
    return f"{len(run.missed)} of {words.count(len(run.goals), 'goal')} missed"


def _pictures(run: Run, parts: Mapping[str, Series], by: str) -> Markup | None:
    if not parts:
        return None
    return tag(
        "section",
        tag("h2", f"By {by}"),
        picture.drawn(run, parts, by, by, tall=True),
        tables.figures(run, parts, by),
    )
