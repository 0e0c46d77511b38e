"""Figures for people: goals, latency by cell before, during and after the faults, what was asked."""

import math
from collections.abc import Mapping, Sequence

from loadtests.drawing.markup import Markup, joined, tag
from loadtests.scenarios.report import words
from loadtests.scenarios.report.run import Goal, Run, Series, Verdict, middle, total, worst

SIGNS = {Verdict.PASSED: "✓", Verdict.MISSED: "✗", Verdict.MEASURED: "·"}
SAID = {Verdict.PASSED: "passed", Verdict.MISSED: "missed", Verdict.MEASURED: "no goals"}


def badge(verdict: Verdict) -> Markup:
    """A sign and a word, so that no colour is needed."""
    return tag(
        "span", tag("span", SIGNS[verdict], aria_hidden="true"), " ", SAID[verdict], class_=f"badge {verdict}"
    )


def goals(runs: Sequence[Run], links: Sequence[str] | None = None) -> Markup:
    """All goals with their figures; with `links`, one for each run, their scenarios too and what these prove."""
    several = links is not None
    heads = [*(["Scenario, and what it proves"] if several else []), "Goal", "Measured", "Wanted", ""]
    bodies = []
    for number, run in enumerate(runs):
        rows = [_goal(goal) for goal in run.goals] or [[tag("td", "No goals: measured only", colspan=4)]]
        if links is not None:
            head = tag(
                "th",
                tag("a", run.title, href=f"#{links[number]}"),
                " ",
                badge(run.verdict),
                tag("p", run.proves),
                scope="rowgroup",
                rowspan=len(rows),
                role="rowheader",
            )
            rows[0].insert(0, head)
        bodies.append(tag("tbody", *(tag("tr", *row, role="row") for row in rows), role="rowgroup"))
    return tag(
        "table",
        tag("caption", "What was proved: every goal, what was measured and what was wanted"),
        _heads(heads, "rowgroup"),
        *bodies,
        class_="goals several" if several else "goals",
        role="table",
    )


def _goal(goal: Goal) -> list[Markup]:
    verdict = Verdict.PASSED if goal.met else Verdict.MISSED
    return [
        tag("td", goal.says, role="cell", class_="says"),
        tag("td", words.measured(goal), role="cell", class_="number", data_label="measured"),
        tag("td", words.asked(goal), role="cell", class_="number", data_label="wanted"),
        tag("td", badge(verdict), role="cell", class_="verdict"),
    ]


def missed(run: Run) -> Markup | None:
    """Each goal that was missed, and by how much; None when there is none."""
    told = [
        joined(f"{goal.says}: ", tag("b", words.measured(goal)), f", wanted {words.asked(goal)}")
        for goal in run.missed
    ]
    if not told and run.verdict is Verdict.MISSED:
        told = [
            joined(
                "Every goal was met, but the run calls itself failed", ": " if run.notes else "", *run.notes[:1]
            )
        ]
    return tag("ul", *(tag("li", each) for each in told), class_="shortfall") if told else None


def figures(run: Run, parts: Mapping[str, Series], by: str) -> Markup:
    """By cell or operation, with the middle second before, during and after the faults."""
    times = ("before", "during", "after") if run.faults else ("",)
    heads = [by.capitalize(), "Requests", "Failed", "p50", *(f"p99 {when}".strip() for when in times), "worst p99"]
    rows = []
    for name, each in parts.items():
        p99 = each.gapped(each.p99_ms)
        split = _split(run, p99) if run.faults else [p99]
        told = [
            words.figure(total(each.requests)),
            words.figure(total(each.failed)),
            words.milliseconds(middle(each.gapped(each.p50_ms))),
            *(words.milliseconds(middle(values)) for values in split),
            words.milliseconds(worst(p99)),
        ]
        rows.append(
            tag("tr", tag("th", name, scope="row"), *(tag("td", value, class_="number") for value in told))
        )
    step = "second" if run.series.step_seconds == 1.0 else words.seconds(run.series.step_seconds)
    shown, every = sum(total(each.requests) for each in parts.values()), run.totals.requests
    of_all = f", {words.figure(shown)} of {words.figure(every)} requests" if shown != every else ""
    when = ", before, during and after faults" if run.faults else ""
    what = f"the middle {step}'s p50, the middle {step}'s p99{when}, and the worst {step}'s"
    return _wide(
        tag(
            "table",
            tag("caption", tag("span", f"By {by}{of_all}: {what}")),
            _heads(heads),
            tag("tbody", *rows),
            class_="figures",
        ),
        f"Figures by {by}",
    )


def faults(run: Run) -> Markup:
    """When, where, what."""
    rows = [
        tag(
            "tr",
            tag("td", words.between(*run.span(fault), run.end), class_="when"),
            tag("td", fault.cell or "–"),
            tag("td", fault.what),
        )
        for fault in run.faults
    ]
    return _wide(
        tag(
            "table",
            tag("caption", "Faults, by the scenario itself"),
            _heads(["When", "Cell", "What"]),
            tag("tbody", *rows),
        ),
        "Faults",
    )


def totals(run: Run) -> Markup:
    """Of all requests of the run."""
    found = run.totals
    share = 100 * found.failed / found.requests if found.failed and found.requests else None
    lost = None if share is None else tag("small", f" {words.figure(share, 2)} %")
    return _pairs(
        {
            "requests": words.figure(found.requests),
            "failed": joined(words.figure(found.failed), lost),
            "p50": words.milliseconds(found.p50_ms),
            "p99": words.milliseconds(found.p99_ms),
            "longest": words.milliseconds(found.max_ms),
        },
        "totals",
    )


def asked(run: Run) -> Markup:
    """The load, in a sentence."""
    load = run.load
    parts = [
        f"{words.figure(load.rate)} requests/s due" if load.rate is not None else None,
        words.count(load.tenants, "tenant") if load.tenants is not None else None,
        f"Zipf {words.figure(load.zipf)}" if load.zipf is not None else None,
        f"for {words.seconds(run.seconds)}",
        ", ".join(f"{words.figure(100 * share, 2)} % {name}" for name, share in load.mix.items()) or None,
    ]
    return tag("p", " · ".join(part for part in parts if part), class_="asked")


def circumstances(run: Run) -> Markup:
    """Where, when and of what seed, so that it can be done again."""
    told = {
        "Began": words.moment(run.began),
        "Took": words.seconds(run.seconds),
        "Target": run.target or None,
        "Machine": words.machine(run.machine) or None,
        "Seed": None if run.seed is None else str(run.seed),
        "Scenario": run.scenario,
    }
    return _pairs({name: value for name, value in told.items() if value is not None}, "circumstances")


def notes(run: Run) -> Markup | None:
    """What the scenario has to say."""
    return tag("ul", *(tag("li", note) for note in run.notes), class_="notes") if run.notes else None


def _split(run: Run, values: Sequence[float]) -> list[list[float]]:
    """Before the first fault, while there is any, and all the rest."""
    spans = [run.span(fault) for fault in run.faults]
    first = min(begin for begin, _ in spans)
    split: list[list[float]] = [[], [], []]
    for number, value in enumerate(values):
        begin = number * run.series.step_seconds
        until = begin + run.series.step_seconds
        if not math.isfinite(value):
            continue
        if any(begin <= after and until > before for before, after in spans):
            split[1].append(value)
        else:
            split[0 if until <= first else 2].append(value)
    return split


def _heads(names: Sequence[str], role: str | None = None) -> Markup:
    inside = "columnheader" if role else None
    cells = [
        tag("th", name, scope="col", role=inside) if name else tag("td", tag("span", "Verdict", class_="unseen"))
        for name in names
    ]
    return tag("thead", tag("tr", *cells, role="row" if role else None), role=role)


def _pairs(told: Mapping[str, object], class_: str) -> Markup:
    pairs = (tag("div", tag("dt", name), tag("dd", value)) for name, value in told.items())
    return tag("dl", *pairs, class_=class_)


def _wide(table: Markup, name: str) -> Markup:
    """Scrolls by itself where it is wider than the page, by keys too."""
    return tag("div", table, class_="wide", tabindex=0, role="region", aria_label=name)
