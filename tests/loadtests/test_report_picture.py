"""What a picture shows, read back from its shapes: faults where they were, gaps where nobody asked."""

import re
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from loadtests.scenarios.report import one, page, picture
from loadtests.scenarios.report.run import read
from tests.loadtests.reading import parsed
from tests.loadtests.sample_runs import sample, samples


def _picture(result: dict[str, Any]) -> Element:
    """By cell, as on the page of all."""
    told = parsed(page.render([result]))
    figure = told.find(".//figure")
    assert figure is not None
    return figure


def _panels(figure: Element) -> dict[str, Element]:
    return {each.get("data-name", ""): each for each in figure.iter("g") if each.get("class") == "panel"}


def _bands(panel: Element) -> list[tuple[float, float, str, str]]:
    """From and until in hundredths of the width, the words, the class."""
    found = []
    for each in panel.iter("rect"):
        if "fault" in each.get("class", "").split():
            begin, wide = (float(each.get(key, "").rstrip("%")) for key in ("x", "width"))
            found.append((begin, begin + wide, each.findtext("title") or "", each.get("class", "")))
    return found


def _path(panel: Element, name: str) -> str:
    return next(each.get("d", "") for each in panel.iter("path") if each.get("class") == name)


def _cells(result: dict[str, Any], **cells: list[tuple[int, float | None]]) -> dict[str, Any]:
    """With these requests and latencies by second instead, of which none failed, and no fault."""
    result["series"]["operations"] = {}
    result["series"]["cells"] = {
        name: {
            "requests": [asked for asked, _ in told],
            "failed": [0] * len(told),
            "p50_ms": [value for _, value in told],
            "p99_ms": [value for _, value in told],
        }
        for name, told in cells.items()
    }
    return {**result, "faults": [], "seconds": float(max(len(told) for told in cells.values()))}


@pytest.mark.parametrize("result", samples(), ids=lambda each: each["scenario"])
def test_every_faults_band_is_at_its_place_in_every_panel(result: dict[str, Any]) -> None:
    """From when to when it was, with its name; strong in its own cell, faint in the others."""
    panels = _panels(_picture(result))
    assert list(panels) == list(result["series"]["cells"])
    for name, panel in panels.items():
        bands = _bands(panel)
        assert len(bands) == len(result["faults"])
        for (begin, until, words, kind), fault in zip(bands, result["faults"], strict=True):
            first, last = fault["from_second"], fault["until_second"]
            last = result["seconds"] if last is None else last
            assert begin == pytest.approx(100 * first / result["seconds"], abs=0.01)
            assert until == pytest.approx(max(100 * last / result["seconds"], begin + picture.NARROWEST), abs=0.02)
            assert words.endswith(fault["what"])
            assert ("elsewhere" in kind) == (fault["cell"] not in (None, name))


def test_a_faults_name_stands_above_its_band() -> None:
    """One line for each name, with a bar whenever it was."""
    figure = _picture(
        sample(
            faults=[
                (15.0, 30.0, "the first", "cell-1"),
                (30.0, 45.0, "the second", None),
                (48.0, 54.0, "the first", "cell-1"),
            ]
        )
    )
    lanes = {each.findtext("b"): each for each in figure.iter("li")}
    assert list(lanes) == ["the first", "the second"]
    assert [bar.get("style") for bar in lanes["the first"].iter("i")] == [
        "left:25.00%;width:25.00%",
        "left:80.00%;width:10.00%",
    ]
    assert lanes["the first"].findtext("span") == "2 times, 15–54 s"
    assert lanes["the second"].findtext("span") == "30–45 s"
    assert lanes["the second"].get("style") == "padding-left:50.00%"


def test_many_kinds_of_faults_do_not_bury_the_picture() -> None:
    """The first few by name, the others together; each has its band, and the run's own page names all."""
    result = sample(faults=[(float(at), at + 1.0, f"fault {at}", None) for at in range(20)])
    figure = _picture(result)
    names = [each.findtext("b") for each in figure.iter("li")]
    assert names == [*(f"fault {at}" for at in range(picture.MOST_LANES)), "15 other faults"]
    assert len(list(figure.iter("i"))) - len(list(figure.findall("./figcaption//i"))) == 20
    assert all(len(_bands(panel)) == 20 for panel in _panels(figure).values())
    own = one.render(result)
    assert all(f"<td>fault {at}</td>" in own for at in range(20))


def test_seconds_in_which_nobody_asked_are_gaps() -> None:
    """Not noughts: the line ends and begins anew, also where a figure was written for nothing."""
    told = [(1, 10.0), (1, 20.0), (0, None), (1, 10.0), (1, 10.0), (0, 0.0), (1, 20.0), (1, 10.0)]
    panel = _panels(_picture(_cells(sample(), alone=told)))["alone"]
    for name in ("p50", "p99"):
        parts = re.findall("M[^M]*", _path(panel, name))
        assert [part.count(" ") for part in parts] == [2, 2, 2]
        across = [float(point.split()[0]) for part in parts for point in re.findall(r"[\d.]+ [\d.]+", part)]
        assert across == [62.5, 187.5, 437.5, 562.5, 812.5, 937.5]
    assert len(re.findall("M", _path(panel, "requests"))) == 6


def test_a_second_alone_between_gaps_is_seen() -> None:
    """As a dot."""
    panel = _panels(_picture(_cells(sample(), alone=[(0, None), (1, 10.0), (0, None)])))["alone"]
    assert _path(panel, "p99") == "M500 0h0.01"


def _ticks(panel: Element) -> list[str]:
    return [each.text or "" for each in panel.iter("text") if each.get("class") == "tick"]


def test_latencies_that_span_more_than_two_decades_are_drawn_logarithmically() -> None:
    """With a decade at each line, and the legend says so; others begin at nought."""
    wide = _picture(_cells(sample(), alone=[(1, 1.0), (1, 10.0), (1, 100.0), (1, 1000.0)]))
    panel = _panels(wide)["alone"]
    assert _ticks(panel) == ["1 ms", "10 ms", "100 ms", "1 s", "1/s"]
    heights = [float(each) for each in re.findall(r"[\d.]+ ([\d.]+)", _path(panel, "p99"))]
    steps = [round(one_ - other, 1) for one_, other in pairwise(heights)]
    assert max(steps) - min(steps) <= 0.2
    assert "logarithmic scale" in "".join(wide.itertext())
    narrow = _picture(_cells(sample(), alone=[(1, 2.0), (1, 5.0)]))
    assert _ticks(_panels(narrow)["alone"]) == ["2 ms", "4 ms", "1/s"]
    assert "logarithmic scale" not in "".join(narrow.itertext())


def test_cells_share_their_axes() -> None:
    """The same latency is as high in one as in the other, and the same second is at the same place."""
    panels = _panels(_picture(_cells(sample(), quick=[(5, 10.0), (5, 10.0)], slow=[(90, 10.0), (90, 40.0)])))
    (first, second), (third, fourth) = (
        re.findall(r"[\d.]+ [\d.]+", _path(panels[name], "p99")) for name in ("quick", "slow")
    )
    assert first == third
    assert second != fourth
    assert _ticks(panels["quick"]) == _ticks(panels["slow"])


def test_one_failed_request_of_a_thousand_is_seen() -> None:
    """A bar in its second, high enough to see; and the number beside the cell's name."""
    result = _cells(sample(), busy=[(1000, 5.0)] * 10)
    result["series"]["cells"]["busy"]["failed"][3] = 1
    panel = _panels(_picture(result))["busy"]
    assert _path(panel, "failed") == f"M300 30V{30 - picture.FAILED:g}H400V30z"
    assert [each.text for each in panel.iter("tspan")] == ["busy", "10,000 requests", "1 failed"]


def test_the_picture_is_told_in_words_too() -> None:
    """For those who cannot see it: each cell's figures, each fault."""
    svg = _picture(sample()).find(".//svg")
    assert svg is not None
    assert svg.get("role") == "img"
    words = svg.findtext("desc") or ""
    assert (svg.findtext("title") or "").startswith("A cell is lost: latency, requests and failures by cell")
    for cell in ("cell-1", "cell-2", "cell-3"):
        assert re.search(rf"{cell}: [\d,]+ requests?, [\d,]+ failed, p50 usually \d", words)
    assert words.endswith("Fault 20–40 s: cell-2: API, workers, Postgres and Redis killed.")


def test_a_long_run_is_drawn_with_several_seconds_as_one() -> None:
    """No request and no failure is lost by it, and no peak."""
    series = read(sample(seconds=720)).series.cells["cell-2"]
    grouped = series.grouped(3)
    assert len(grouped.requests) == 240
    assert sum(grouped.requests) == sum(series.requests)
    assert sum(grouped.failed) == sum(series.failed)
    assert max(each for each in grouped.p99_ms if each == each) == max(
        each for each in series.p99_ms if each == each
    )
    panel = _panels(_picture(sample(seconds=7200, faults=())))["cell-1"]
    assert _path(panel, "requests").count("M") <= picture.MOST_STEPS


def test_of_many_cells_those_matter_to_which_something_happened() -> None:
    """The page of all shows a few, in their order, and says how many it leaves out; the run's own shows all."""
    result = sample(faults=[(1.0, 2.0, "lost", "cell-19")])
    one_cell = result["series"]["cells"]["cell-1"]
    failing = {**one_cell, "failed": [1] * len(one_cell["failed"])}
    result["series"]["cells"] = {f"cell-{at}": failing if at == 7 else one_cell for at in range(20)}
    shown = list(_panels(_picture(result)))
    assert len(shown) == page.MOST_PANELS
    assert {"cell-7", "cell-19"} <= set(shown)
    assert shown == sorted(shown, key=lambda name: int(name.removeprefix("cell-")))
    assert "14 cells more on the run&#x27;s own page" in page.render([result])
    told = parsed(one.render(result))
    assert len(_panels(told)) == 20 + len(result["series"]["operations"])


def test_each_seconds_figures_can_be_pointed_at_on_a_runs_own_page() -> None:
    """Without a script, and only of seconds in which somebody asked."""
    result = _cells(sample(), alone=[(3, 10.0), (0, None), (1, 20.0)])
    result["series"]["operations"] = {}
    told = parsed(one.render(result))
    assert [each.findtext("title") for each in told.iter("rect") if each.get("class") == "tip"] == [
        "0–1 s: 3 requests, 0 failed, p50 10 ms, p99 10 ms",
        "2–3 s: 1 request, 0 failed, p50 20 ms, p99 20 ms",
    ]


def test_a_run_of_which_nothing_was_measured_over_time_has_no_picture() -> None:
    """Its goals stand there all the same."""
    result = sample()
    result["series"] = {"step_seconds": 1.0, "cells": {}, "operations": {}}
    told = page.render([result])
    assert "<figure" not in told
    assert "Tenants of other cells see no error" in told
