"""Pictures and pages as text: what comes out can be read by a parser, and says what was put in."""

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.drawing.markup import UNFIT, Markup, tag
from loadtests.drawing.scales import DECADES, Scale, fitting, times
from loadtests.drawing.shapes import Frame, alone, area, bars, line, pieces
from tests.loadtests.reading import parsed

NAN = math.nan
FRAME = Frame(0.0, 0.0, 100.0, 50.0, 10.0, Scale(0.0, 100.0))
LATENCIES = st.lists(st.floats(min_value=1e-3, max_value=1e6) | st.just(NAN), max_size=30)


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_words_can_be_read_back(words: str) -> None:
    """As they were, but for what no file may hold."""
    element = parsed(tag("p", words, title=words))
    assert (element.text or "") == UNFIT.sub("\ufffd", words)
    assert not list(element)


def test_markup_within_markup_stays_as_it_is() -> None:
    """Only words are escaped."""
    assert tag("td", Markup("<b>1 &lt; 2</b>"), " & more", class_="a", data_x=None) == (
        '<td class="a"><b>1 &lt; 2</b> &amp; more</td>'
    )


@given(LATENCIES)
def test_a_scale_holds_all_values_and_its_ticks(values: list[float]) -> None:
    """Logarithmic where they span more than two decades; a few round ticks, none beyond the ends."""
    scale, known = fitting(values), [value for value in values if math.isfinite(value)]
    assert all(scale.low <= value <= scale.high * (1 + 1e-9) for value in known)
    if known:
        assert scale.logarithmic == (math.log10(max(known)) - math.log10(min(known)) > DECADES)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 6
    assert all(scale.low * (1 - 1e-9) <= tick <= scale.high * (1 + 1e-9) for tick in ticks)


def test_a_decade_is_as_high_as_the_next_one() -> None:
    """On a logarithmic scale."""
    scale = fitting([1.0, 10.0, 1000.0])
    assert (scale.low, scale.high) == (1.0, 1000.0)
    assert [round(scale.share(value), 3) for value in (0.0, 1.0, 10.0, 100.0, 1000.0, 9999.0)] == [
        *(0.0, 0.0, 0.333, 0.667, 1.0, 1.0)
    ]
    assert scale.ticks() == [1.0, 10.0, 100.0, 1000.0]


@pytest.mark.parametrize(
    ("end", "told"),
    [(60.0, [0, 10, 20, 30, 40, 50, 60]), (720.0, [0, 120, 240, 360, 480, 600, 720]), (7.5, [0, 2, 4, 6])],
)
def test_times_are_those_that_people_count_in(end: float, told: list[int]) -> None:
    """Seconds, and whole minutes."""
    assert times(end) == told


def test_very_long_times_are_few() -> None:
    """However long it was."""
    assert len(times(40 * 86400.0)) <= 8


@given(LATENCIES)
def test_pieces_are_all_that_is_known_in_order(values: list[float]) -> None:
    """Neither a gap nor a value is lost, and no piece touches the next."""
    found = pieces(values)
    assert [place for piece in found for place in piece] == [
        place for place, value in enumerate(values) if math.isfinite(value)
    ]
    assert all(one[-1] + 1 < other[0] for one, other in pairwise(found))


def test_a_line_is_broken_at_gaps_and_a_value_alone_is_a_dot() -> None:
    """Nothing is drawn where nothing is known."""
    at = [0.0, 1.0, 2.0, 3.0, 4.0]
    assert line(FRAME, at, [50.0, 100.0, NAN, 0.0, NAN]) == "M0 25L10 0M30 50h0.01"
    assert line(FRAME, at, [NAN] * 5) == ""
    assert line(FRAME, at, alone([50.0, 100.0, NAN, 0.0, NAN])) == "M30 50h0.01"


def test_an_area_is_there_where_both_its_edges_are() -> None:
    """Forth along the upper one, back along the lower."""
    assert area(FRAME, [0.0, 1.0, 2.0], [0.0, 50.0, NAN], [100.0, 100.0, 100.0]) == "M0 0 10 0 10 25 0 50z"


def test_the_least_bar_is_seen_and_none_is_none() -> None:
    """One failed request of a thousand stands out; nought does not."""
    assert bars(FRAME, [0.0, 1.0, 2.0], 1.0, [0.0, 0.1, 50.0], 3.0) == "M10 50V47H20V50zM20 50V25H30V50z"
    assert not re.search("[a-y]", bars(FRAME, [0.0], 1.0, [NAN]))
