"""Latency, requests and failures over time as inline SVG: a panel for each cell or operation, faults as bands.

Across, everything is told in shares of the width, so that a picture fits a phone as well as a desk while its
letters keep their size. Panels share both axes: what differs between two cells is seen by looking from one to the
other.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

from loadtests.drawing.markup import Markup, joined, tag, text
from loadtests.drawing.scales import Scale, fitting, times
from loadtests.drawing.shapes import Frame, alone, area, bars, line
from loadtests.scenarios.report import words
from loadtests.scenarios.report.run import Fault, Run, Series, known, middle, total, worst

ACROSS = 1000.0
"""Of a panel's own measure, stretched to the width there is."""
HEAD, BETWEEN, RATE, BELOW, AXIS = 22.0, 9.0, 30.0, 16.0, 18.0
LOW, TALL = 76.0, 120.0
"""Height of a panel's latencies: of several scenarios on a page, and of one."""
FAILED = 3.0
"""How high one failed request in a thousand is drawn."""
NARROWEST = 0.4
"""Width in hundredths of a fault that took no time."""
MOST_STEPS = 300
"""What is longer is drawn with several steps as one."""
MOST_LANES = 5
LONGEST_NAME = 24


def drawn(run: Run, parts: Mapping[str, Series], by: str, identity: str, *, tall: bool = False) -> Markup:
    """The picture with its legend; `identity` is its alone on the page. A tall one tells each step's figures."""
    grouped = math.ceil(max((len(each.requests) for each in parts.values()), default=0) / MOST_STEPS) or 1
    step = run.series.step_seconds * grouped
    parts = {name: each.grouped(grouped) for name, each in parts.items()}
    lanes = _lanes(run)
    scale = fitting(
        value for each in parts.values() for found in (each.p50_ms, each.p99_ms) for value in each.gapped(found)
    )
    rates = fitting([*(asked / step for each in parts.values() for asked in each.requests)])
    rates = Scale(0.0, rates.high)
    high, top, panels = TALL if tall else LOW, 0.0, []
    for name, each in parts.items():
        panels.append(_panel(run, name, each, top, high, step, (scale, rates), tips=tall))
        top += HEAD + high + BETWEEN + RATE + BELOW
    height = top - BELOW + AXIS
    svg = tag(
        "svg",
        tag("title", f"{run.title}: latency, requests and failures by {by} over time", id=f"{identity}-title"),
        tag("desc", _described(run, parts), id=f"{identity}-desc"),
        *panels,
        *_times(run, top - BELOW + 14.0),
        role="img",
        aria_labelledby=f"{identity}-title {identity}-desc",
        width="100%",
        height=f"{height:g}",
    )
    return tag(
        "figure",
        _legend(run, parts, scale, step),
        tag("div", lanes, svg, class_="plot"),
        class_="picture",
    )


def _panel(
    run: Run,
    name: str,
    each: Series,
    top: float,
    high: float,
    step: float,
    scales: tuple[Scale, Scale],
    *,
    tips: bool,
) -> Markup:
    """A name, latencies, and requests a second below them."""
    begin = [step * number for number in range(len(each.requests))]
    half = [at + step / 2 for at in begin]
    p50, p99 = each.gapped(each.p50_ms), each.gapped(each.p99_ms)
    latency = Frame(0.0, 0.0, ACROSS, high, run.end, scales[0])
    rate = Frame(0.0, 0.0, ACROSS, RATE, run.end, scales[1])
    first, second = top + HEAD, top + HEAD + high + BETWEEN
    return tag(
        "g",
        _name(name, each, top),
        *_bands(run, name, first, high + BETWEEN + RATE),
        *_grid(first, high, scales[0]),
        *_rates(second, scales[1]),
        _inside(
            first,
            high,
            tag("path", d=area(latency, half, p50, p99), class_="spread"),
            tag("path", d=line(latency, half, p50), class_="p50"),
            tag("path", d=line(latency, half, p99), class_="p99"),
            tag("path", d=line(latency, half, alone(p99)), class_="alone") if known(alone(p99)) else None,
        ),
        _inside(
            second,
            RATE,
            tag("path", d=bars(rate, begin, step, [asked / step for asked in each.requests]), class_="requests"),
            tag("path", d=bars(rate, begin, step, [lost / step for lost in each.failed], FAILED), class_="failed"),
        ),
        *(_tips(run, each, begin, step, first, high + BETWEEN + RATE) if tips else []),
        class_="panel",
        data_name=name,
    )


def _name(name: str, each: Series, top: float) -> Markup:
    lost = total(each.failed)
    return tag(
        "text",
        tag("tspan", name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…", class_="name"),
        tag("tspan", words.count(total(each.requests), "request"), dx=10),
        tag("tspan", f"{words.figure(lost)} failed", dx=10, class_="lost") if lost else None,
        y=f"{top + HEAD - 7:g}",
    )


def _bands(run: Run, name: str, top: float, height: float) -> list[Markup]:
    """Faults behind a panel: those of this cell, or of all, strong; those of others just to be seen."""
    found = []
    for fault in run.faults:
        begin, until = _shares(run, fault)
        found.append(
            tag(
                "rect",
                tag("title", _told(run, fault)),
                x=f"{begin:.2f}%",
                y=f"{top:g}",
                width=f"{until - begin:.2f}%",
                height=f"{height:g}",
                class_="fault elsewhere" if _elsewhere(run, fault, name) else "fault",
            )
        )
    return found


def _elsewhere(run: Run, fault: Fault, name: str) -> bool:
    """A fault of one cell, seen in another."""
    return fault.cell != name and {fault.cell, name} <= run.series.cells.keys()


def _grid(top: float, height: float, scale: Scale) -> list[Markup]:
    """Of latencies: a line at each tick, with its words beside it."""
    parts = []
    for value in scale.ticks(3):
        y = round(top + height * (1.0 - scale.share(value)), 1)
        parts.append(_rule(y))
        if value > 0.0:
            parts.append(_tick(words.milliseconds(value), y + 4))
    return parts


def _rates(top: float, scale: Scale) -> list[Markup]:
    """Of requests: only the ends, for there is no room; below the line, for above it stands a latency."""
    return [_rule(top), _rule(top + RATE), _tick(f"{words.figure(scale.high)}/s", top + 9)]


def _rule(y: float) -> Markup:
    return tag("line", x1="0", x2="100%", y1=f"{y:g}", y2=f"{y:g}", class_="grid")


def _tick(what: str, y: float) -> Markup:
    return tag("text", what, x="-8", y=f"{y:g}", class_="tick", text_anchor="end")


def _inside(top: float, height: float, *shapes: Markup | None) -> Markup:
    return tag(
        "svg",
        *shapes,
        y=f"{top:g}",
        width="100%",
        height=f"{height:g}",
        viewBox=f"0 0 {ACROSS:g} {height:g}",
        preserveAspectRatio="none",
        class_="inside",
    )


def _tips(run: Run, each: Series, begin: Sequence[float], step: float, top: float, height: float) -> list[Markup]:
    """What a pointer is shown of each step."""
    return [
        tag(
            "rect",
            tag(
                "title",
                f"{words.between(at, at + step, run.end)}: {words.count(asked, 'request')}, "
                f"{words.figure(lost)} failed, p50 {words.milliseconds(p50)}, p99 {words.milliseconds(p99)}",
            ),
            x=f"{100 * at / run.end:.2f}%",
            y=f"{top:g}",
            width=f"{100 * step / run.end:.2f}%",
            height=f"{height:g}",
            class_="tip",
        )
        for at, asked, lost, p50, p99 in zip(
            begin, each.requests, each.failed, each.p50_ms, each.p99_ms, strict=True
        )
        if asked > 0
    ]


def _times(run: Run, top: float) -> list[Markup]:
    parts = []
    for at in times(run.end):
        share = 100 * at / run.end
        anchor = "start" if at == 0 else "end" if share > 96 else "middle"
        parts.append(
            tag(
                "text",
                words.clock(at, run.end),
                x=f"{share:.2f}%",
                y=f"{top:g}",
                text_anchor=anchor,
                class_="tick",
            )
        )
    return parts


def _legend(run: Run, parts: Mapping[str, Series], scale: Scale, step: float) -> Markup:
    """What the signs mean."""
    elsewhere = any(_elsewhere(run, fault, name) for fault in run.faults for name in parts)
    every = f"worst of {words.seconds(step)}" if step != run.series.step_seconds else f"each {words.seconds(step)}"
    if run.series.step_seconds == step == 1.0:
        every = "each second"
    entries = [
        ("key-p99", "p99"),
        ("key-p50", "p50"),
        ("key-requests", "requests"),
        ("key-failed", "failed"),
        *([("key-fault", "fault")] if run.faults else []),
        *([("key-elsewhere", "fault in another cell")] if elsewhere else []),
    ]
    how = f"latency and requests of {every}" + (", logarithmic scale" if scale.logarithmic else "")
    return tag(
        "figcaption",
        *(joined(tag("span", tag("i", class_=sign, aria_hidden="true"), what), " ") for sign, what in entries),
        tag("span", how, class_="how"),
    )


def _lanes(run: Run) -> Markup | None:
    """The names of faults above their bands: a line for each name, with a bar whenever it was."""
    if not run.faults:
        return None
    named = {
        what: list(same)
        for what, same in groupby(sorted(run.faults, key=lambda each: each.what), lambda each: each.what)
    }
    ordered = sorted(named.values(), key=lambda same: min(each.from_second for each in same))
    kept, rest = ordered[:MOST_LANES], ordered[MOST_LANES:]
    lanes = [_lane(run, same, same[0].what) for same in kept]
    if len(rest) == 1:
        lanes.append(_lane(run, rest[0], rest[0][0].what))
    elif rest:
        lanes.append(_lane(run, [each for same in rest for each in same], f"{len(rest)} other faults"))
    return tag("ul", *lanes, class_="faults", aria_label="Faults")


def _lane(run: Run, same: Sequence[Fault], what: str) -> Markup:
    shares = [_shares(run, each) for each in same]
    first, last = min(begin for begin, _ in shares), max(until for _, until in shares)
    if len(same) == 1:
        when = words.between(*run.span(same[0]), run.end)
    else:
        begins = [run.span(each)[0] for each in same]
        when = f"{len(same)} times, {words.between(min(begins), max(run.span(each)[1] for each in same), run.end)}"
    place = f"padding-left:{first:.2f}%" if first <= 50 else f"padding-right:{100 - last:.2f}%;text-align:right"
    return tag(
        "li",
        tag("b", what),
        " ",
        tag("span", when),
        *(tag("i", style=f"left:{begin:.2f}%;width:{until - begin:.2f}%") for begin, until in shares),
        style=place,
    )


def _shares(run: Run, fault: Fault) -> tuple[float, float]:
    """Of the width, in hundredths; never too narrow to be seen, never beyond the end."""
    begin, until = (100 * at / run.end for at in run.span(fault))
    begin = min(begin, 100 - NARROWEST)
    return begin, max(until, begin + NARROWEST)


def _told(run: Run, fault: Fault) -> str:
    return f"{words.between(*run.span(fault), run.end)}: {fault.what}"


def _described(run: Run, parts: Mapping[str, Series]) -> Markup:
    """The picture for those who cannot see it."""
    told = []
    for name, each in parts.items():
        p50, p99 = each.gapped(each.p50_ms), each.gapped(each.p99_ms)
        told.append(
            f"{name}: {words.count(total(each.requests), 'request')}, {words.figure(total(each.failed))} failed, "
            f"p50 usually {words.milliseconds(middle(p50))}, p99 usually {words.milliseconds(middle(p99))} "
            f"and {words.milliseconds(worst(p99))} at worst."
        )
    told += [f"Fault {_told(run, fault)}." for fault in run.faults]
    return text(" ".join(told))
