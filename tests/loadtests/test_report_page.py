"""The page of all scenarios and that of one: what they say, read back by a parser."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from pydantic import ValidationError

from loadtests.scenarios.report import one, page
from loadtests.scenarios.report import words as words_
from loadtests.scenarios.report.document import STYLE
from tests.loadtests.reading import parsed, words
from tests.loadtests.sample_runs import sample, samples

HOSTILE = "<script>alert(1)</script>\" onload='x' &amp; ]]> --> \x00\u202e\ud800 \x1b[31m"
SHOWN = "<script>alert(1)</script>\" onload='x' &amp; ]]> --> \ufffd\ufffd\ufffd \ufffd[31m"


def _head(told: Element) -> str:
    """What is read before anything else."""
    return words(told.find("./body/main/header"))


def _rows(told: Element) -> list[list[str]]:
    """Of the table of goals, without the column of scenarios."""
    table = next(each for each in told.iter("table") if "goals" in each.get("class", ""))
    return [[words(cell) for cell in row.iter("td")] for body in table.iter("tbody") for row in body.iter("tr")]


def _both(result: dict[str, Any]) -> Iterator[Element]:
    yield parsed(one.render(result))
    yield parsed(page.render([result]))


def _goal(**changes: Any) -> dict[str, Any]:
    goal = {"name": "quick", "says": "It is quick", "figure": 3.0, "bound": 5.0, "sense": "<=", "unit": "ms"}
    return {**goal, "passed": True, **changes}


def test_the_headline_says_that_all_was_proved() -> None:
    """When every scenario met every goal, and how many there were."""
    good = [result for result in samples() if result["passed"]]
    told = parsed(page.render(good))
    assert words(told.find(".//h1")) == f"All {len(good)} scenarios met every goal"
    assert told.find(".//h1").get("class") == "headline passed"  # type: ignore[union-attr]
    assert words(told.find(".//title")) == f"✓ All {len(good)} scenarios met every goal"


def test_a_missed_goal_is_told_at_the_top() -> None:
    """With its scenario, its figure and its bound, before any table or picture."""
    told = parsed(page.render(samples()))
    assert words(told.find(".//h1")) == "1 of 11 scenarios missed a goal"
    assert "A noisy neighbour p99 of the others, to that before: 1.1004 ×, wanted at most 1.1 ×" in _head(told)
    assert words(told.find(".//title")).startswith("✗")
    assert told.find("./body/main/")[0].tag != "table"  # type: ignore[index]
    own = parsed(one.render(samples()[1]))
    assert "1 of 2 goals missed p99 of the others, to that before: 1.1004 ×, wanted at most 1.1 ×" in _head(own)


def test_every_goal_stands_there_with_its_figure_and_its_bound() -> None:
    """In the order of the scenarios, on their page; and on each one's own."""
    goals = [goal for result in samples() for goal in result["goals"]]
    rows = _rows(parsed(page.render(samples())))
    assert [row[0] for row in rows] == [goal["says"] for goal in goals]
    assert [row[-1] for row in rows] == ["✓ passed" if goal["passed"] else "✗ missed" for goal in goals]
    assert ["p99 of the other cells, to that before", "1.04 ×", "at most 1.1 ×", "✓ passed"] in rows
    assert ["Moves that were finished", "20 moves", "at least 20 moves", "✓ passed"] in rows
    assert rows == [row for result in samples() for row in _rows(parsed(one.render(result)))]


def test_each_scenario_says_what_it_proves_and_can_be_reached() -> None:
    """From the table to its picture; no name stands twice, and no address leads nowhere."""
    told = parsed(page.render(samples()))
    table = next(each for each in told.iter("table") if "goals" in each.get("class", ""))
    heads = [words(each) for each in table.iter("th") if each.get("scope") == "rowgroup"]
    assert len(heads) == len(samples())
    for head, result in zip(heads, samples(), strict=True):
        assert head.startswith(result["title"])
        assert head.endswith(result["proves"])
    _addressed(told)


def _addressed(told: Element) -> None:
    names = [each.get("id") for each in told.iter() if each.get("id")]
    assert len(names) == len(set(names))
    wanted = [each.get("href", "")[1:] for each in told.iter("a") if each.get("href", "").startswith("#")]
    wanted += [name for each in told.iter() for name in each.get("aria-labelledby", "").split()]
    assert wanted
    assert set(wanted) <= set(names)


def test_a_scenario_may_stand_there_twice() -> None:
    """As when one target is compared with another."""
    told = parsed(page.render([sample(), sample()]))
    assert [each.get("id") for each in told.iter("section")] == ["cell_loss", "cell_loss-2"]
    _addressed(told)


@pytest.mark.parametrize(
    "goal",
    [
        _goal(passed=False),
        _goal(figure=6.0),
        _goal(figure=None),
        _goal(figure=float("nan")),
        _goal(figure=3.0, sense=">="),
        _goal(figure=5.0, sense="<"),
    ],
)
def test_a_goal_is_met_when_neither_the_run_nor_its_figure_denies_it(goal: dict[str, Any]) -> None:
    """So a mistake in either is seen."""
    for told in _both({**sample(goals=()), "goals": [goal], "passed": True}):
        assert _rows(told)[0][-1] == "✗ missed"
        assert "missed" in _head(told)


def test_a_run_that_calls_itself_failed_is_believed() -> None:
    """Whatever its goals say; with its first note, which should say why."""
    for told in _both({**sample(), "passed": False, "notes": ["The fault could not be injected."]}):
        assert "Every goal was met, but the run calls itself failed: The fault could not be injected." in _head(
            told
        )


def test_what_could_not_be_run_is_told_at_the_top() -> None:
    """With the reason; a page of those that passed alone would be believed to be all."""
    told = parsed(page.render([sample()], not_run={HOSTILE: "no port is free"}))
    assert words(told.find(".//h1")) == "1 of 2 scenarios could not be run"
    assert "not run: no port is free" in _head(told)
    assert SHOWN.split()[0] in _head(told)
    told = parsed(page.render(samples(), not_run={"One more": "no port is free"}))
    assert words(told.find(".//h1")) == "1 of 12 scenarios missed a goal, 1 could not be run"
    assert (
        words(parsed(page.render([], not_run={"One": "so"})).find(".//h1")) == "1 of 1 scenario could not be run"
    )


def test_requests_that_no_picture_shows_are_told() -> None:
    """Cells may be shown without jobs, say: then their requests are fewer than the run's."""
    result = sample()
    result["totals"]["requests"] += 100
    shown = sum(sum(each["requests"]) for each in result["series"]["cells"].values())
    assert f"By cell, {shown:,} of {shown + 100:,} requests:" in page.render([result])
    assert "By cell: " in page.render([sample()])


def test_without_goals_nothing_is_proved() -> None:
    """It was measured, and the headline does not praise it."""
    for told in _both(sample(goals=())):
        assert "met every goal" not in _head(told)
        assert "easured" in _head(told)
    assert words(parsed(page.render([])).find(".//h1")) == "Nothing was run, so nothing is proved"


def test_a_near_miss_is_not_rounded_to_a_hit() -> None:
    """As many digits as it takes to tell figure and bound apart, and no more."""
    for figure, said in ((1.1000004, "1.1000004 ×"), (1.2345678, "1.23 ×"), (0, "0 ×"), (12345.6, "12,346 ×")):
        result = {**sample(), "goals": [_goal(figure=figure, bound=1.1, unit="×", passed=False)]}
        assert _rows(parsed(one.render(result)))[0][1] == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *(
            (0, "0"),
            (20.3, "20.3"),
            (100.0, "100"),
            (999.7, "1,000"),
            (1234567.8, "1,234,568"),
            (0.041234, "0.0412"),
        ),
        *((-2.5, "−2.5"), (2.0004, "2"), (0.0, "0"), (None, "–"), (float("nan"), "–"), (float("inf"), "∞")),
    ],
)
def test_figures_are_told_with_three_digits_that_count(value: float | None, said: str) -> None:
    """Whole ones whole."""
    assert words_.figure(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.4123, "0.41 ms"),
        (4.13, "4.1 ms"),
        (20.4, "20 ms"),
        (99.96, "100 ms"),
        (200.2, "200 ms"),
        (1050.0, "1.05 s"),
    ],
)
def test_latencies_are_told_in_the_unit_that_suits_them(value: float, said: str) -> None:
    """Two digits are enough of what is short."""
    assert words_.milliseconds(value) == said


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ("moves", "1 move"),
        ("ms", "1 ms"),
        ("s", "1 s"),
        ("times", "1 times"),
        ("", "1"),
        ("a second", "1 a second"),
    ],
)
def test_one_of_a_kind_is_not_several(unit: str, said: str) -> None:
    """As people say it."""
    result = {**sample(), "goals": [_goal(figure=1, bound=2, unit=unit)]}
    assert _rows(parsed(one.render(result)))[0][1] == said


def test_latencies_are_told_before_during_and_after_the_faults() -> None:
    """The middle second of each, by cell; a second that a fault touched is one of its seconds."""
    result = sample(seconds=6, faults=[(2.0, 3.5, "slow", "cell-1")])
    result["series"]["cells"] = {
        "cell-1": {
            "requests": [1, 1, 1, 1, 0, 1],
            "failed": [0, 0, 1, 0, 0, 0],
            "p50_ms": [1, 2, 3, 4, None, 6],
            "p99_ms": [10, 12, 95, 90, None, 14],
        }
    }
    for told in _both(result):
        table = next(each for each in told.iter("table") if each.get("class") == "figures")
        assert [words(each) for each in table.iter("th")][:8] == [
            *("Cell", "Requests", "Failed", "p50", "p99 before", "p99 during", "p99 after", "worst p99")
        ]
        assert [words(each) for each in table.iter("td")] == [
            *("5", "1", "3 ms", "10 ms", "90 ms", "14 ms", "95 ms")
        ]


def test_names_are_data() -> None:
    """Whatever a run says about itself, it is shown, and nothing of it becomes part of the page."""
    result = sample()
    series = result["series"]["cells"]["cell-1"]
    result |= dict.fromkeys(("scenario", "title", "proves", "target"), HOSTILE)
    result["notes"] = [HOSTILE]
    result["machine"] = {"processor": HOSTILE, "cores": HOSTILE, HOSTILE: HOSTILE}
    result["load"]["mix"] = {HOSTILE: 1.0}
    result["goals"] = [_goal(name=HOSTILE, says=HOSTILE, unit=HOSTILE)]
    result["faults"] = [{"from_second": 1.0, "until_second": 2.0, "what": HOSTILE, "cell": HOSTILE}]
    result["series"] |= {"cells": {HOSTILE: series}, "operations": {HOSTILE: series}}
    for told in _both(result):
        assert "".join(told.itertext()).count(SHOWN) >= 8
        assert not any(each.tag == "script" for each in told.iter())
        assert not any(name.startswith("on") for each in told.iter() for name in each.keys())  # noqa: SIM118
        assert next(each.get("data-name") for each in told.iter("g")) == SHOWN
    for raw in (one.render(result), page.render([result], {HOSTILE})):
        assert _html_elements(raw) == [each.tag for each in parsed(raw).iter()]


def _html_elements(told: str) -> list[str]:
    """As a browser's parser sees them, which is not one of XML."""
    found: list[str] = []

    class Elements(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append(tag)

    Elements().feed(told)
    return found


@pytest.mark.parametrize("told", [one.render(sample()), page.render(samples(), {"cell_loss"})])
def test_a_page_needs_nothing_from_elsewhere_and_no_script(told: str) -> None:
    """Every address leads within the page or to a file beside it, and browsers are told to load nothing."""
    page_ = parsed(told)
    assert not {"script", "img", "iframe", "object", "embed", "image", "use"} & {each.tag for each in page_.iter()}
    addresses = [value for each in page_.iter() for key, value in each.items() if key in ("href", "src")]
    assert set(addresses) - {each for each in addresses if each.startswith("#")} <= {
        "data:,",
        "load/cell_loss.html",
    }
    assert not re.search(r"url\(|@import|https?://", told)
    policy = [each.get("content") for each in page_.iter("meta") if each.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_pages_are_files_beside_the_json(tmp_path: Path) -> None:
    """The page of all links those that have one of their own."""
    results = tmp_path / "results"
    one.write(json.loads(json.dumps(sample())), results / "load" / "cell_loss.html")
    page.write([json.loads(json.dumps(each)) for each in samples()], results / "report.html")
    told = parsed((results / "report.html").read_text(encoding="utf-8"))
    assert [each.get("href") for each in told.iter("a") if each.get("href", "").startswith("load/")] == [
        "load/cell_loss.html"
    ]
    assert _head(parsed((results / "load" / "cell_loss.html").read_text(encoding="utf-8")))


def test_a_run_that_is_not_as_agreed_is_refused_with_its_place() -> None:
    """A page of half a run would be believed."""
    result = sample()
    result["series"]["cells"]["cell-2"]["failed"].pop()
    with pytest.raises(ValidationError, match=r"series\.cells\.cell-2[\s\S]*different lengths"):
        page.render([result])


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one_: str, other: str) -> float:
    high, low = sorted((_luminance(one_), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_from_the_paper(scheme: int) -> None:
    """WCAG 2.2 AA: 4.5 for words, 3 for what a picture says; by its own paper where it has one."""
    style = re.findall(r":root \{([^}]*)\}", STYLE.read_text(encoding="utf-8"))[scheme]
    colours = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]+)", style))
    papers = {"good": ["paper", "good-paper"], "bad": ["paper", "bad-paper"]}
    for name in ("ink", "quiet", "good", "bad"):
        for paper in papers.get(name, ["paper"]):
            assert _contrast(colours[name], colours[paper]) >= 4.5, name
    for name in ("p99", "p50", "failed", "fault-edge"):
        assert _contrast(colours[name], colours["paper"]) >= 3.0, name
    assert _contrast(colours["failed"], colours["requests"]) >= 1.5
